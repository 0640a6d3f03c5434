"""The fixture `sso`: the run's realm, who is in it, and their logins to the app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin

# Heavy modules are imported where they are used: a quick run lasts seconds, and tests may need none of them.
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from warmci.testing.suite import SsoContext


@dataclass(frozen=True)
class Person:
    """A user of the realm, as `[sso.users]` of recipe.toml describes her."""

    username: str
    password: str = field(repr=False)
    email: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class RealmClient:
    """A client of the realm beside the app's own, of `[sso.clients]`."""

    client_id: str
    client_secret: str = field(repr=False)
    """Empty for a public one."""


class Sso:
    """The realm made for this run, its clients and its users; `username` and the like are those of alice."""

    def __init__(self, sso: SsoContext, app_url: str, new_client: Callable[[], httpx.Client]) -> None:
        self.issuer = sso.issuer
        self.realm = sso.realm
        self.client_id = sso.client_id
        self.client_secret = sso.client_secret.get_secret_value()
        self.users: Mapping[str, Person] = {
            user.username: Person(user.username, user.password.get_secret_value(), user.email, user.roles, user.groups)
            for user in sso.users
        }
        self.clients: Mapping[str, RealmClient] = {
            name: RealmClient(name, secret.get_secret_value()) for name, secret in sso.clients.items()
        }
        alice = self.user(sso.users[0].username)
        self.username, self.password, self.email = alice.username, alice.password, alice.email
        self._deadline_s = sso.login_timeout_s
        self._app_url = app_url
        self._new_client = new_client
        self._sessions: list[httpx.Client] = []

    def user(self, name: str) -> Person:
        """Raises KeyError naming who there is."""
        if name not in self.users:
            raise KeyError(f"the realm has no user {name}; it has: {', '.join(self.users)}")
        return self.users[name]

    def login(self, start_url: str, *, user: str = "", deadline_s: float | None = None) -> httpx.Response:
        """Log in as a browser does: from a URL (or path) that leads to the provider, to the page where it ends.

        user: alice, or one of `[sso.users]`. deadline_s: seconds for the whole way; default: sso.login_timeout_s of
        recipe.toml. Each call starts without cookies. Raises RecipeFailedError when the way ends before the app,
        InfraError when Keycloak itself does not answer: the run is then not the recipe's failure.
        """
        with self._new_client() as client:
            return self._log_in(client, start_url, user, deadline_s)

    def session(self, start_url: str, *, user: str = "", deadline_s: float | None = None) -> httpx.Client:
        """A client that is logged in and stays so, with cookies of its own; its base is the app's URL.

        It follows redirects, as a browser would, and is closed after the last test. Raises what login raises.
        """
        client = self._new_client()
        self._sessions.append(client)
        self._log_in(client, start_url, user, deadline_s)
        client.follow_redirects = True
        return client

    def _log_in(self, client: httpx.Client, start_url: str, user: str, deadline_s: float | None) -> httpx.Response:
        from warmci.testing.login import browser_login  # noqa: PLC0415  (start-up time)

        person = self.user(user or self.username)
        url = urljoin(self._app_url, start_url)
        limit_s = self._deadline_s if deadline_s is None else deadline_s
        return browser_login(client, url, person.username, person.password, deadline_s=limit_s)

    def close(self) -> None:
        for client in self._sessions:
            client.close()
