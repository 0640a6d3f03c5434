# warmci-alert@UNIT.service: started by OnFailure= of the others, and takes no part in WarmCI's work.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.warmci;
  webhook = cfg.credentials.alert_webhook or null;
in
{
  options.services.warmci.alertCommand = lib.mkOption {
    type = lib.types.package;
    internal = true;
    readOnly = true;
    default = pkgs.writeShellScript "warmci-alert" (builtins.readFile ../alert.sh);
    description = "Raises or clears the alert of one unit.";
  };

  config = lib.mkIf cfg.enable {
    systemd.services."warmci-alert@" = {
      description = "WarmCI alert: %i failed";
      path = [ pkgs.curl ];
      unitConfig.RequiresMountsFor = [ cfg.settings.state_dir ];
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "${cfg.alertCommand} raise ${cfg.settings.state_dir} %i";
        TimeoutStartSec = "1min";
        UMask = "0077";
        # A missing webhook must not silence the alert itself: `none` stands in for it.
        LoadCredential = lib.optional (webhook != null) "warmci_alert_webhook:${webhook}";
        SetCredential = lib.optional (webhook != null) "warmci_alert_webhook:none";
        # Not ReadWritePaths: below /home or /tmp it would be hidden by what follows.
        BindPaths = [ "-${cfg.settings.state_dir}" ];
        CapabilityBoundingSet = "";
        DevicePolicy = "closed";
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateTmp = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6";
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = [
          "@system-service"
          "~@privileged @resources"
        ];
      };
    };
  };
}
