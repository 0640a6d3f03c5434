{
  description = "WarmCI: recipe CI for Co-op Cloud";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      rev = self.rev or ""; # a dirty tree has none
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      # As a set, not a path: older Nix wants it so, and errors name the file.
      nixosModules.default = {
        imports = [ ./modules ];
      };

      overlays.default = final: _: { warmci = final.callPackage ./package.nix { inherit rev; }; };

      packages = each (pkgs: rec {
        warmci = pkgs.callPackage ./package.nix { inherit rev; };
        default = warmci;
      });

      checks = each (pkgs: {
        package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        module-eval = import ./checks/module-eval.nix { inherit self nixpkgs pkgs; };
        vm = pkgs.testers.runNixOSTest (import ./checks/vm.nix self);
      });

      formatter = each (pkgs: pkgs.nixfmt-tree);
    };
}
