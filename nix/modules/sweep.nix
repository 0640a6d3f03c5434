# Every enrolled recipe, cold, each night.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.warmci;
in
{
  options.services.warmci.sweep = {
    enable = lib.mkEnableOption "the nightly cold run of every enrolled recipe";
    calendar = lib.mkOption {
      type = lib.types.str;
      default = "*-*-* 03:00:00";
      example = "Mon..Fri 02:30 Europe/Berlin";
      description = "When to start (systemd.time(7)), in the host's time zone if it names none.";
    };
    randomizedDelay = lib.mkOption {
      type = lib.types.str;
      default = "15min";
      description = "Several hosts do not ask the same forge in the same second.";
    };
    shard = lib.mkEnableOption "sharing the night with the other workers of the swarm (docs/scale.md)";
    timeout = lib.mkOption {
      type = lib.types.str;
      default = "10h";
      description = "Bound of one sweep, whatever its own time budget says. A stopped sweep is resumed by `warmci sweep`, within 20 hours.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.sweep.enable) {
    # Units are not read before they are used: a calendar that is none would be found at the first night that is missed.
    system.checks = [
      (pkgs.runCommand "warmci-calendar-check" { } ''
        ${lib.getExe' config.systemd.package "systemd-analyze"} calendar ${lib.escapeShellArg cfg.sweep.calendar} > $out
        ${lib.getExe' config.systemd.package "systemd-analyze"} timespan ${lib.escapeShellArg cfg.sweep.randomizedDelay} >> $out
      '')
    ];

    systemd.timers.warmci-sweep = {
      description = "WarmCI: nightly sweep";
      wantedBy = [ "timers.target" ];
      # A switch must not start a sweep that was missed. A changed calendar counts from the reload that a switch does.
      unitConfig.X-OnlyManualStart = true;
      timerConfig = {
        OnCalendar = cfg.sweep.calendar;
        Persistent = true;
        RandomizedDelaySec = cfg.sweep.randomizedDelay;
      };
    };

    systemd.services.warmci-sweep = lib.mkMerge [
      (import ./unit.nix { inherit config lib; })
      {
        description = "WarmCI: nightly sweep of every enrolled recipe";
        after = [
          "warmci-keycloak.service"
          "warmci-canonicals.service"
        ];
        # A switch must not kill a sweep that runs.
        restartIfChanged = false;
        serviceConfig = {
          Type = "oneshot";
          ExecStart = "${lib.getExe cfg.package} sweep${lib.optionalString cfg.sweep.shard " --shard"}";
          ExecStartPost = "-${cfg.alertCommand} clear ${cfg.settings.state_dir} %N";
          TimeoutStartSec = cfg.sweep.timeout;
        };
      }
    ];
  };
}
