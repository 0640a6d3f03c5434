# Everything: `imports = [ ./nix/modules ]`, or `nixosModules.default` of the flake.
{
  imports = [
    ./warmci.nix
    ./alert.nix
    ./live-ingress.nix
    ./warm-keycloak.nix
    ./canonicals.nix
    ./sweep.nix
  ];
}
