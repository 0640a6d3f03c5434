# Settings whose value is a secret (SecretStr in base/settings.py): given by services.warmci.credentials only.
[
  "alert_webhook"
  "forge_token"
]
