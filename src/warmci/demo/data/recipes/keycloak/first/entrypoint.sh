#!/bin/bash
set -euo pipefail

KC_BOOTSTRAP_ADMIN_PASSWORD="$(</run/secrets/admin_password)"
export KC_BOOTSTRAP_ADMIN_PASSWORD

# An image that was built with these settings starts as it is; the official one is augmented first.
exec /opt/keycloak/bin/kc.sh start
