"""The realm of one run, as the app and the tests see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmci.recipe.config import SsoConfig, filled
from warmci.sso import keycloak_app as provider
from warmci.sso import lifecycle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from warmci.base.settings import Settings

CLIENT = "app"
USER = "alice"
_CREATE_DEADLINE_S = 300.0


@dataclass(frozen=True)
class RunRealm:
    """What the app and the tests are told of the run's realm."""

    settings: Settings
    provider: provider.Provider
    name: str
    client_secret: str
    password: str
    config: SsoConfig
    made: Future[None] | None = None

    def wait(self) -> None:
        """Return when the realm is there. Raises InfraError when Keycloak refused it."""
        if self.made is not None:
            self.made.result(_CREATE_DEADLINE_S)

    @property
    def issuer(self) -> str:
        return f"{self.provider.url}/realms/{self.name}"

    @property
    def provider_url(self) -> str:
        return self.provider.url

    def _facts(self, app: Mapping[str, str]) -> dict[str, str]:
        endpoints = f"{self.issuer}/protocol/openid-connect"
        return {
            **app,
            "issuer": self.issuer,
            "realm": self.name,
            "client_id": CLIENT,
            "client_secret": self.client_secret,
            "authorization_endpoint": f"{endpoints}/auth",
            "token_endpoint": f"{endpoints}/token",
            "userinfo_endpoint": f"{endpoints}/userinfo",
            "jwks_uri": f"{endpoints}/certs",
            "end_session_endpoint": f"{endpoints}/logout",
        }

    def env(self, app: Mapping[str, str]) -> dict[str, str]:
        return filled(self.config.env, self._facts(app))

    def secrets(self, app: Mapping[str, str]) -> dict[str, str]:
        """By the recipe's secret name, without version."""
        return filled(self.config.secrets, self._facts(app))

    def test_facts(self) -> dict[str, str]:
        return {
            "issuer": self.issuer,
            "realm": self.name,
            "client_id": CLIENT,
            "client_secret": self.client_secret,
            "username": USER,
            "password": self.password,
            "email": f"{USER}@example.org",
        }

    def unhealthy(self) -> str | None:
        """Why the run's Keycloak cannot serve it any more; a realm that a crash took with it counts, too."""
        reason = provider.unhealthy(self.settings, self.provider.url)
        if reason is None and self.made is not None and self.made.done() and self.made.exception() is None:
            with provider.client_for(self.settings, self.provider.url) as client:
                return lifecycle.missing_realm_reason(client, self.provider.url, self.name)
        return reason
