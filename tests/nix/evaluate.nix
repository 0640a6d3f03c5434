# A configuration of a host with WarmCI's modules: its units as text, and the files and checks that it would build.
{
  configuration,
  library ? ./lib,
  plain ? false,
}:
let
  lib = import library;
  pkgs = import ./stand_in/pkgs.nix { inherit lib plain; };
  checked = import ./stand_in/system.nix { inherit lib pkgs; } [
    ../../nix/modules
    configuration
  ];
in
{
  units = import ./stand_in/units.nix { inherit lib pkgs plain; } checked;
  etc = builtins.mapAttrs (_: entry: entry.source.text) checked.environment.etc;
  checks = builtins.listToAttrs (
    map (check: {
      inherit (check) name;
      value = check.text;
    }) checked.system.checks
  );
  alert = checked.services.warmci.alertCommand.text;
  package = checked.services.warmci.package.arguments or { };
}
