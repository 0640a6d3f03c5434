# The live-warm Keycloak converges at boot and whenever its settings change.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.warmci;
in
{
  options.services.warmci.keycloak = {
    enable = lib.mkEnableOption "the live-warm Keycloak, which gives each run a realm of its own";
    timeout = lib.mkOption {
      type = lib.types.str;
      default = "90min";
      description = ''
        Bound of one convergence. It has to cover `lock_wait_s` (runs that still use the old one), a deployment and its
        roll-back (`deploy_timeout_s` each). Without a change it takes a second.
      '';
    };
  };

  config = lib.mkIf (cfg.enable && cfg.keycloak.enable) {
    systemd.services.warmci-keycloak = lib.mkMerge [
      (import ./unit.nix { inherit config lib; })
      {
        description = "WarmCI: converge the live-warm Keycloak";
        wantedBy = [ "multi-user.target" ];
        # The unit does not name the settings; this makes a switch converge again when they change.
        restartTriggers = [ config.environment.etc."warmci/settings.toml".source ];
        serviceConfig = {
          Type = "oneshot";
          # Stays "active", so that a switch without a change does not run it again.
          RemainAfterExit = true;
          ExecStart = "${lib.getExe cfg.package} keycloak reconcile";
          ExecStartPost = "-${cfg.alertCommand} clear ${cfg.settings.state_dir} %N";
          # systemd's default for a oneshot is no limit at all: a hung Keycloak would hang the deployment.
          TimeoutStartSec = cfg.keycloak.timeout;
        };
      }
    ];
  };
}
