# The live-warm Traefik converges at boot and whenever its settings change. Not for a host that has a Traefik of its own.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.warmci;
in
{
  options.services.warmci.ingress = {
    enable = lib.mkEnableOption "the live-warm Traefik, behind which apps are tested as in production, at https://DOMAIN";
    timeout = lib.mkOption {
      type = lib.types.str;
      default = "90min";
      description = ''
        Bound of one convergence. It has to cover `lock_wait_s` (runs that still use the old one), a deployment and its
        roll-back (`deploy_timeout_s` each). Without a change it takes a second.
      '';
    };
  };

  config = lib.mkIf (cfg.enable && cfg.ingress.enable) {
    systemd.services.warmci-ingress = lib.mkMerge [
      (import ./unit.nix { inherit config lib; })
      {
        description = "WarmCI: converge the live-warm Traefik";
        wantedBy = [ "multi-user.target" ];
        # Keycloak and every app are reached through it: none of them may settle for another ingress first.
        before = [
          "warmci-keycloak.service"
          "warmci-canonicals.service"
          "warmci-sweep.service"
        ];
        restartTriggers = [ config.environment.etc."warmci/settings.toml".source ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${lib.getExe cfg.package} ingress reconcile";
          ExecStartPost = "-${cfg.alertCommand} clear ${cfg.settings.state_dir} %N";
          TimeoutStartSec = cfg.ingress.timeout;
        };
      }
    ];
  };
}
