# The NixOS options that WarmCI's modules set, with the checks that NixOS makes on them.
{ lib, pkgs, ... }:
let
  inherit (lib) mkOption types;

  # A unit's value: lists from several modules concatenate, anything else must agree.
  unitValue = lib.mkOptionType or types.mkOptionType {
    name = "systemd option";
    check =
      value:
      builtins.isBool value || builtins.isInt value || builtins.isString value || builtins.isPath value || builtins.isList value;
    merge =
      loc: defs:
      if builtins.any (def: builtins.isList def.value) defs then
        builtins.concatMap (def: lib.toList def.value) defs
      else
        lib.options.mergeEqualOption loc defs;
  };

  unitName = types.strMatching "[a-zA-Z0-9@%:_.-]+[.](service|socket|device|mount|automount|swap|target|path|timer|scope|slice)";
  units = mkOption {
    type = types.listOf unitName;
    default = [ ];
  };
  section = mkOption {
    type = types.attrsOf unitValue;
    default = { };
  };
  text = mkOption {
    type = types.str;
    default = "";
  };
  flag = mkOption {
    type = types.bool;
    default = true;
  };

  common = {
    description = text;
    after = units;
    before = units;
    requires = units;
    wants = units;
    wantedBy = units;
    onFailure = units;
    unitConfig = section;
    restartTriggers = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
  };

  service.options = common // {
    path = mkOption {
      type = types.listOf (types.oneOf [ types.package types.str ]);
      default = [ ];
    };
    environment = mkOption {
      type = types.attrsOf (types.nullOr types.str);
      default = { };
    };
    script = text;
    serviceConfig = section;
    restartIfChanged = flag;
    stopIfChanged = flag;
  };

  timer.options = common // {
    timerConfig = section;
  };
in
{
  options = {
    assertions = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
    environment.systemPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
    };
    environment.etc = mkOption {
      type = types.attrsOf (
        types.submodule (
          { config, ... }:
          {
            options.text = text;
            options.source = mkOption {
              type = types.path;
              default = pkgs.writeText "etc" config.text;
            };
          }
        )
      );
      default = { };
    };
    system.checks = mkOption {
      type = types.listOf types.package;
      default = [ ];
    };
    # What the checks of the flake set besides.
    boot.isContainer = mkOption { type = types.bool; };
    nixpkgs.hostPlatform = mkOption { type = types.str; };
    system.stateVersion = mkOption { type = types.str; };
    virtualisation.memorySize = mkOption { type = types.ints.positive; };

    systemd.package = mkOption {
      type = types.package;
      default = pkgs.systemd;
    };
    systemd.services = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
    };
    systemd.timers = mkOption {
      type = types.attrsOf (types.submodule timer);
      default = { };
    };
    virtualisation.docker = {
      enable = mkOption {
        type = types.bool;
        default = false;
      };
      liveRestore = mkOption {
        type = types.bool;
        default = true;
      };
      package = mkOption {
        type = types.package;
        default = pkgs.docker;
      };
    };
  };
}
