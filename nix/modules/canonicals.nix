# The recipes that this host keeps a canonical of. Which commit and which data is not declared: runs decide that.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.warmci;
in
{
  options.services.warmci.canonicals = {
    enable = lib.mkEnableOption "a canonical of each of the named recipes";
    recipes = lib.mkOption {
      type = lib.types.listOf (lib.types.strMatching "[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9-])?");
      default = [ ];
      example = [
        "miniflux"
        "nextcloud"
      ];
      description = "Enrolled recipes. The canonical of a recipe that is taken off this list is removed, with its data.";
    };
    timeout = lib.mkOption {
      type = lib.types.str;
      default = "12h";
      description = "Bound of one convergence; a fresh host runs every recipe cold.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.canonicals.enable) {
    assertions = [
      {
        # It would remove them all.
        assertion = cfg.canonicals.recipes != [ ];
        message = "services.warmci.canonicals.recipes is empty: name the recipes, or set services.warmci.canonicals.enable = false";
      }
    ];

    services.warmci.settings.recipes = cfg.canonicals.recipes;

    systemd.services.warmci-canonicals = lib.mkMerge [
      (import ./unit.nix { inherit config lib; })
      {
        description = "WarmCI: converge the canonicals to the declared recipes";
        wantedBy = [ "multi-user.target" ];
        after = [ "warmci-keycloak.service" ];
        restartTriggers = [ config.environment.etc."warmci/settings.toml".source ];
        serviceConfig = {
          # Not "oneshot": on a fresh host it works for hours, and neither boot nor a switch may wait for that.
          # Nor RemainAfterExit: each switch starts it again, and where nothing changed it has nothing to do.
          Type = "exec";
          ExecStart = "${lib.getExe cfg.package} canonical reconcile --yes";
          ExecStopPost = "-${cfg.alertCommand} clear ${cfg.settings.state_dir} %N";
          RuntimeMaxSec = cfg.canonicals.timeout;
        };
      }
    ];
  };
}
