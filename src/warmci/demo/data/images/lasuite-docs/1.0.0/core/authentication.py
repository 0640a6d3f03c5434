"""Who a person is, by what Keycloak says of her."""

from typing import Any

from django.conf import settings
from lasuite.oidc_login.backends import OIDCAuthenticationBackend as LaSuiteBackend
from rest_framework import authentication


class OIDCAuthenticationBackend(LaSuiteBackend):
    """Names under the fields that Docs keeps them in."""

    def get_extra_claims(self, user_info: dict[str, Any]) -> dict[str, Any]:
        return {
            "full_name": self.compute_full_name(user_info),
            "short_name": user_info.get(settings.OIDC_USERINFO_SHORTNAME_FIELD),
        }


class SessionAuthentication(authentication.SessionAuthentication):
    """Answers 401 to who is not logged in, where the original says 403."""

    def authenticate_header(self, _request: object) -> str:
        return "Session"
