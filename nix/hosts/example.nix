# A whole CI host, as an example: imports = [ warmci.nixosModules.default ./example.nix ].
{ config, pkgs, ... }:
{
  virtualisation.docker = {
    enable = true;
    liveRestore = false; # Docker refuses a swarm with it
  };

  # WarmCI wants a swarm manager and never makes one of a host by itself.
  systemd.services.docker-swarm-init = {
    description = "Make this Docker engine a swarm of one";
    wantedBy = [ "multi-user.target" ];
    after = [ "docker.service" ];
    requires = [ "docker.service" ];
    before = [
      "warmci-ingress.service"
      "warmci-keycloak.service"
      "warmci-canonicals.service"
    ];
    path = [ config.virtualisation.docker.package ];
    script = ''
      [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" = active ] || docker swarm init
    '';
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      TimeoutStartSec = "2min";
    };
  };

  services.warmci = {
    enable = true;
    settings = {
      base_domain = "ci.example.org";
      recipes_dir = "/etc/warmci/recipes";
      max_tests = 2;
    };
    # Put there by agenix, sops-nix or by hand; never a path literal, which would copy the secret into the store.
    credentials = {
      alert_webhook = "/run/secrets/warmci-alert-webhook";
      forge_token = "/run/secrets/warmci-forge-token";
    };
    ingress.enable = true; # not where the host has a Traefik of its own
    keycloak.enable = true;
    canonicals = {
      enable = true;
      recipes = [
        "miniflux"
        "nextcloud"
      ];
    };
    sweep.enable = true;
  };
}
