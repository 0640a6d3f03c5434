# The text of a unit as NixOS writes it (nixos/lib/systemd-lib.nix); with `plain`, without what only NixOS reads.
{
  lib,
  pkgs,
  plain,
}:
let
  inherit (builtins) concatStringsSep isBool isList toJSON;

  show = value: if isBool value then lib.boolToString value else toString value;
  line = name: value: "${name}=${show value}\n";
  section =
    values:
    concatStringsSep "" (
      lib.mapAttrsToList (
        name: value:
        if isList value then concatStringsSep "" (map (line name) value) else line name value
      ) values
    );

  oneOf =
    name: key: allowed: values:
    if values ? ${key} && !builtins.elem values.${key} allowed then
      throw "Systemd service `${name}' has ${key}=${show values.${key}}, which is none of ${concatStringsSep " " allowed}"
    else
      values;

  head =
    name: def:
    let
      listed = lib.filterAttrs (_: value: value != "" && value != [ ]) {
        Description = def.description;
        After = def.after;
        Before = def.before;
        Requires = def.requires;
        Wants = def.wants;
        OnFailure = def.onFailure;
        X-Restart-Triggers = lib.optional (def.restartTriggers != [ ]) (
          pkgs.writeText "X-Restart-Triggers-${name}" (concatStringsSep "\n" (map toString def.restartTriggers))
        );
      };
      joined = lib.mapAttrs (_: value: if isList value then concatStringsSep " " (map toString value) else value) (
        listed // def.unitConfig
      );
    in
    "[Unit]\n" + section (if plain then lib.filterAttrs (key: _: !lib.hasPrefix "X-" key) joined else joined);

  tail =
    def:
    lib.optionalString (def.wantedBy != [ ]) "\n[Install]\nWantedBy=${concatStringsSep " " def.wantedBy}\n";

  service =
    name: def:
    let
      path = def.path ++ [
        pkgs.coreutils
        pkgs.findutils
        pkgs.gnugrep
        pkgs.gnused
        pkgs.systemd
      ];
      environment = def.environment // lib.optionalAttrs (!plain) { PATH = lib.makeBinPath path; };
      script = pkgs.writeShellScript "unit-script-${name}-start" "set -e\n${def.script}";
      values = oneOf name "Type" [ "simple" "exec" "forking" "oneshot" "dbus" "notify" "notify-reload" "idle" ] (
        oneOf name "KillMode" [ "control-group" "process" "mixed" "none" ] (
          lib.optionalAttrs (def.script != "") { ExecStart = "${script} "; } // def.serviceConfig
        )
      );
    in
    head name def
    + "\n[Service]\n"
    + concatStringsSep "" (
      lib.mapAttrsToList (key: value: "Environment=${toJSON "${key}=${value}"}\n") (
        lib.filterAttrs (_: value: value != null) environment
      )
    )
    + lib.optionalString (!plain && !def.restartIfChanged) "X-RestartIfChanged=false\n"
    + lib.optionalString (!plain && !def.stopIfChanged) "X-StopIfChanged=false\n"
    + section values
    + tail def;

  timer = name: def: head name def + "\n[Timer]\n" + section def.timerConfig + tail def;
in
config:
lib.mapAttrs' (name: def: lib.nameValuePair "${name}.service" (service name def)) config.systemd.services
// lib.mapAttrs' (name: def: lib.nameValuePair "${name}.timer" (timer name def)) config.systemd.timers
