# The host that docs/systemd/ is generated for: no Nix, WarmCI in a virtual environment at /opt/warmci.
{ lib, ... }:
{
  services.warmci = {
    enable = true;
    package = {
      type = "derivation";
      name = "warmci";
      outPath = "/opt/warmci";
      meta.mainProgram = "warmci";
    };
    ingress.enable = true;
    keycloak.enable = true;
    canonicals = {
      enable = true;
      recipes = [ "named-in-settings-toml" ];
    };
    sweep.enable = true;
  };

  # Each file in that directory is a credential, named after its setting; the directory must exist. The alert does
  # without it, since it has to speak of that, too.
  systemd.services =
    lib.genAttrs [ "warmci-ingress" "warmci-keycloak" "warmci-canonicals" "warmci-sweep" ] (_: {
      serviceConfig.LoadCredential = [ "warmci:/etc/warmci/credentials" ];
    })
    // {
      "warmci-alert@".serviceConfig = {
        LoadCredential = [ "warmci_alert_webhook:/etc/warmci/credentials/alert_webhook" ];
        SetCredential = [ "warmci_alert_webhook:none" ];
      };
    };
}
