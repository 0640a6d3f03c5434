# The outputs of nix/flake.nix with a stand-in for nixpkgs, as text: every attribute that `nix flake check` would build.
{
  library ? ./lib,
}:
let
  lib = import library;
  pkgs = import ./stand_in/pkgs.nix {
    inherit lib;
    plain = false;
  };
  configured = import ./stand_in/system.nix { inherit lib pkgs; };
  units = import ./stand_in/units.nix {
    inherit lib pkgs;
    plain = false;
  };
  nixosSystem =
    { modules }:
    let
      config = configured modules;
    in
    {
      config = config // {
        systemd = config.systemd // {
          units = builtins.mapAttrs (_: text: { inherit text; }) (units config);
        };
      };
    };
  nixpkgs = {
    lib = lib // { inherit nixosSystem; };
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
      system:
      pkgs
      // {
        stdenv.hostPlatform.system = system;
        nixfmt-tree = pkgs.writeText "nixfmt-tree" "";
        runCommand = name: environment: script: { inherit name environment script; };
        testers.runNixOSTest = test: test // { machine = units (configured [ test.nodes.machine ]); };
      }
    );
  };
  self = (import ../../nix/flake.nix).outputs { inherit self nixpkgs; } // {
    rev = "c0ffee";
  };
  here = self.checks.x86_64-linux;
in
{
  outputs = builtins.mapAttrs (_: builtins.attrNames) (removeAttrs self [ "rev" ]);
  package = self.packages.x86_64-linux.default.arguments.pname;
  noted = self.packages.x86_64-linux.default.arguments.postPatch;
  overlay = (self.overlays.default pkgs pkgs).warmci.arguments.pname;
  module-eval = removeAttrs here.module-eval.environment [ "checks" ] // {
    inherit (here.module-eval) script;
    checks = map (check: check.name) here.module-eval.environment.checks;
  };
  vm = {
    inherit (here.vm) machine testScript;
  };
}
