# What every unit that runs WarmCI has in common. What it may do and why: docs/nixos.md.
{ config, lib, ... }:
let
  cfg = config.services.warmci;
in
{
  # `after` alone would not pull it in; a remote engine has no docker.service, and then both mean nothing.
  wants = [
    "network-online.target"
    "docker.service"
  ];
  after = [
    "network-online.target"
    "docker.service"
  ];
  onFailure = [ "warmci-alert@%N.service" ];
  # A state directory on a disk of its own: never start beside the disk, on the empty mount point.
  unitConfig.RequiresMountsFor = [ cfg.settings.state_dir ];

  serviceConfig = import ./hardening.nix { inherit lib cfg; } // {
    # Root, since a snapshot keeps owners and is mounted; this also gives it root's HOME for git and docker.
    User = "root";
    UMask = "0077";
    LoadCredential = lib.mapAttrsToList (name: path: "warmci_${name}:${path}") cfg.credentials;
    # WarmCI stops what it started, then cleans up; only what is left after that is killed.
    KillMode = "mixed";
    TimeoutStopSec = "10min";
    # One recipe's test that runs out of memory must not end the whole night.
    OOMPolicy = "continue";
  };
}
