# The configuration that a list of modules makes, its assertions checked as NixOS does.
{ lib, pkgs }:
modules:
let
  inherit
    (lib.evalModules {
      class = "nixos";
      specialArgs = { inherit pkgs; };
      modules = [ ./options.nix ] ++ modules;
    })
    config
    ;
  failed = builtins.filter (entry: !entry.assertion) config.assertions;
in
if failed == [ ] then
  config
else
  throw "Failed assertions:\n${builtins.concatStringsSep "\n" (map (entry: "- ${entry.message}") failed)}"
