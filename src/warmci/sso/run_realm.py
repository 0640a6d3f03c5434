"""The realm of one run, as the app and the tests see it."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from warmci.recipe.config import APP_CLIENT, TEST_USER, SsoConfig, UserConfig, email_of, filled
from warmci.sso import keycloak_app, realm_lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from warmci.base.settings import Settings

CLIENT = APP_CLIENT
USER = TEST_USER
_CREATE_DEADLINE_S = 300.0


def users_of(config: SsoConfig) -> dict[str, UserConfig]:
    """Alice, and who else is in the realm."""
    return {USER: UserConfig(), **config.users}


def roles_of(user: UserConfig, config: SsoConfig) -> tuple[str, ...]:
    return tuple(sorted(user.roles | config.roles))


@dataclass
class Deletion:
    """Of a realm, begun beside other work once nobody asks for the realm any more, or done at the end."""

    work: Callable[[], None]
    """May be called again."""
    users: int = 1
    """Apps that are told of the realm, or may yet be."""
    _begun: Future[None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def release(self) -> None:
        """One of them is over and green; with the last the deletion begins.

        None that is red releases it: a realm that is gone would look like Keycloak's fault.
        """
        with self._lock:
            self.users -= 1
            if self.users == 0:
                pool = ThreadPoolExecutor(1, thread_name_prefix="realm-end")
                self._begun = pool.submit(self.work)
                pool.shutdown(wait=False)

    def finish(self) -> None:
        """Return when it is deleted. One that failed beside other work is tried again, and tells its own error."""
        if self._begun is None or self._begun.exception() is not None:
            self.work()


@dataclass(frozen=True)
class RunRealm:
    """What the app and the tests are told of the run's realm."""

    settings: Settings
    provider: keycloak_app.Provider
    name: str
    client_secret: str = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)
    """Of its users, by name."""
    config: SsoConfig
    client_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of its further clients, by name."""
    made: Future[None] | None = None
    deletion: Deletion | None = None

    def release(self) -> None:
        """An app is over and green that was told of it."""
        if self.deletion is not None:
            self.deletion.release()

    def wait(self) -> None:
        """Return when the realm is there. Raises InfraError when Keycloak refused it."""
        if self.made is not None:
            self.made.result(_CREATE_DEADLINE_S)

    def serve(self, app_url: str) -> None:
        """Wait for the realm, and make it tell the app at app_url when a session ends, where the recipe wants that."""
        self.wait()
        if path := self.config.backchannel_logout_path:
            with keycloak_app.connected(self.settings, self.provider.access) as keycloak:
                realm_lifecycle.aim_backchannel_logout(keycloak, self.name, CLIENT, f"{app_url}{path}")

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
            **{f"{name}_client_id": name for name in self.config.clients},
            **{f"{name}_client_secret": self.client_secrets.get(name, "") for name in self.config.clients},
        }

    def env(self, app: Mapping[str, str]) -> dict[str, str]:
        return filled(self.config.env, self._facts(app))

    def secrets(self, app: Mapping[str, str]) -> dict[str, str]:
        """By the recipe's secret name, without version."""
        return filled(self.config.secrets, self._facts(app))

    def test_facts(self) -> dict[str, Any]:
        """What testing.suite.SsoContext takes."""
        users = [
            {
                "username": name,
                "password": self.passwords[name],
                "email": email_of(name, user),
                "roles": roles_of(user, self.config),
                "groups": user.groups,
            }
            for name, user in users_of(self.config).items()
        ]
        return {
            "issuer": self.issuer,
            "realm": self.name,
            "client_id": CLIENT,
            "client_secret": self.client_secret,
            "users": users,
            "clients": dict(self.client_secrets),
            "login_timeout_s": self.config.login_timeout_s,
        }

    def unhealthy(self) -> str | None:
        """Why the run's Keycloak cannot serve it any more; a realm that a crash took with it counts, too."""
        reason = keycloak_app.unhealthy(self.settings, self.provider.url)
        if reason is None and self.made is not None and self.made.done() and self.made.exception() is None:
            with keycloak_app.client_for(self.settings, self.provider.url) as client:
                return realm_lifecycle.missing_realm_reason(client, self.provider.url, self.name)
        return reason
