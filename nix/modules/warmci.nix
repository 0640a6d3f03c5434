# The program and its settings. What is warm (canonicals, snapshots, the live Keycloak) is never declared here: it is a
# cache under settings.state_dir, and a host that is built from scratch re-warms itself.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.warmci;
  toml = pkgs.formats.toml { };
  file = toml.generate "warmci-settings.toml" cfg.settings;
  # A setting that is a secret must not get into the world-readable store. tests/nix compares this list with base/settings.py.
  secret = import ./secret-settings.nix;
  leaked = lib.filter (name: cfg.settings ? ${name}) secret;
in
{
  options.services.warmci = {
    enable = lib.mkEnableOption "WarmCI, recipe CI for Co-op Cloud";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ../package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The WarmCI package.";
    };

    settings = lib.mkOption {
      description = ''
        What stands in /etc/warmci/settings.toml; every setting of docs/settings.md may be given, and is checked when
        the system is built. Secrets are refused: see `services.warmci.credentials`.
      '';
      example = {
        base_domain = "ci.example.org";
        max_tests = 2;
      };
      default = { };
      type = lib.types.submodule {
        freeformType = toml.type;
        options.state_dir = lib.mkOption {
          type = lib.types.externalPath;
          default = "/var/lib/ci-warm";
          description = "Canonicals, runs and locks: one file system, 0700, made by WarmCI itself.";
        };
      };
    };

    credentials = lib.mkOption {
      type = lib.types.attrsOf lib.types.externalPath;
      default = { };
      example = {
        alert_webhook = "/run/secrets/warmci-alert-webhook";
      };
      description = ''
        Secret settings: the setting's name, and the file on the host that has its value. systemd hands it to the units
        (LoadCredential); a unit whose file is missing does not start.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = leaked == [ ];
        message = "services.warmci.settings.${lib.concatStringsSep ", " leaked} would be readable by everybody in the Nix store: use services.warmci.credentials";
      }
      {
        assertion = lib.all (name: builtins.match "[a-z][a-z0-9_]*" name != null) (
          lib.attrNames cfg.credentials
        );
        message = "services.warmci.credentials: each name must be that of a setting";
      }
      {
        assertion = !(config.virtualisation.docker.enable && config.virtualisation.docker.liveRestore);
        message = "services.warmci needs a swarm, and Docker refuses one with live restore: set virtualisation.docker.liveRestore = false";
      }
    ];

    environment.systemPackages = [ cfg.package ];
    environment.etc."warmci/settings.toml".source = file;

    # At build time, so that a mistake does not wait for the night: WarmCI itself reads the settings.
    system.checks = [
      (pkgs.runCommand "warmci-settings-check" { } ''
        WARMCI_SETTINGS=${file} WARMCI_STATE_DIR=$TMPDIR/state ${lib.getExe cfg.package} canonical list --json > $out
      '')
    ];
  };
}
