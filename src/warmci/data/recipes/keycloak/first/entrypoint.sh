#!/bin/bash
set -euo pipefail

KC_BOOTSTRAP_ADMIN_PASSWORD="$(</run/secrets/admin_password)"
export KC_BOOTSTRAP_ADMIN_PASSWORD

exec /opt/keycloak/bin/kc.sh start --optimized
