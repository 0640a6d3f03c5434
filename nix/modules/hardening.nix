# As far as WarmCI's job allows. docs/nixos.md says why each is here, and why others are not.
{ lib, cfg }:
{
  NoNewPrivileges = true;
  CapabilityBoundingSet = lib.concatStringsSep " " [
    "CAP_SYS_ADMIN" # mounts overlays, reads and writes trusted.* attributes, enters `netns`
    "CAP_SYS_PTRACE" # sees who else has a volume mounted: without it a running container would look like none
    "CAP_CHOWN" # the rest: a snapshot is the same file for file
    "CAP_DAC_OVERRIDE"
    "CAP_DAC_READ_SEARCH"
    "CAP_FOWNER"
    "CAP_FSETID"
    "CAP_LINUX_IMMUTABLE"
    "CAP_MKNOD"
    "CAP_SETFCAP"
  ];
  DevicePolicy = "closed";
  DeviceAllow = [
    "char-* m"
    "block-* m"
  ];
  KeyringMode = "private";
  LockPersonality = true;
  ProtectClock = true;
  ProtectHostname = true;
  RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6";
  RestrictNamespaces = if cfg.settings ? netns then "net" else true;
  RestrictRealtime = true;
  SystemCallArchitectures = "native";
  SystemCallErrorNumber = "EPERM";
  SystemCallFilter = "@system-service @mount";
}
