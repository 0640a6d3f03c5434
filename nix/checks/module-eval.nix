# The example host, evaluated as a whole NixOS: `nix flake check` alone does not look into a module.
{
  self,
  nixpkgs,
  pkgs,
}:
let
  host = nixpkgs.lib.nixosSystem {
    modules = [
      self.nixosModules.default
      ../hosts/example.nix
      {
        nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system;
        boot.isContainer = true;
        system.stateVersion = "26.05";
      }
    ];
  };
  units = host.config.systemd.units;
  text = name: units.${name}.text;
in
pkgs.runCommand "warmci-module-eval"
  {
    sweep = text "warmci-sweep.service";
    timer = text "warmci-sweep.timer";
    ingress = text "warmci-ingress.service";
    keycloak = text "warmci-keycloak.service";
    canonicals = text "warmci-canonicals.service";
    # The settings are read by WarmCI, the calendar by systemd.
    inherit (host.config.system) checks;
  }
  ''
    grep -q 'bin/warmci sweep$' <<<"$sweep"
    grep -q '^Persistent=true' <<<"$timer"
    grep -q 'bin/warmci ingress reconcile$' <<<"$ingress"
    grep -q 'bin/warmci keycloak reconcile$' <<<"$keycloak"
    grep -q 'bin/warmci canonical reconcile --yes$' <<<"$canonicals"
    echo "$checks" > $out
  ''
