"""Whether the app serves behind Traefik, asked as its users would; Traefik's own answers are told from the app's."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from warmci.base import authority, http, stopping
from warmci.base.errors import InfraError
from warmci.run import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.bounded import Client
    from warmci.base.settings import Settings
    from warmci.live.traefik_api import TraefikApi
    from warmci.recipe.ingress import Route
    from warmci.recipe.render import Placement

_DEADLINE_S = 60.0
_FAULT_S = 20.0
"""How long Traefik's own word of a fault must stand: a host's own one looks at the swarm every 15 s."""
_POLL_S = 0.05
_IN_A_ROW = 4
"""Good answers behind Traefik: it may still know an old task, and asks them in turn."""
_HOPS = 10
_SHOWN = 3
_SHOWN_URL = 200
_TRAEFIKS_OWN = {
    404: ("404 page not found", "no router of Traefik takes it"),
    500: (
        "Internal Server Error",
        "Traefik and the service do not understand each other (its scheme, its certificate?)",
    ),
    502: ("Bad Gateway", "Traefik does not reach the service on its port"),
    503: ("no available server", "Traefik knows the route, but no task behind it"),
    504: ("Gateway Timeout", "the service does not answer Traefik in time"),
}
"""What Traefik's pages say, word by word (pkg/middlewares, pkg/proxy and net/http's NotFound)."""


@dataclass(frozen=True)
class BehindTraefik:
    settings: Settings
    placement: Placement
    route: Route
    path: str
    api: TraefikApi | None = None

    @property
    def url(self) -> str:
        return self.placement.url_at(self.route.host)

    def wait(self, require_alive: Callable[[], None]) -> tuple[bool, str]:
        """Ask until the app answers below 400, or a minute is over, or Traefik's own fault stands.

        (whether it serves, what was seen); require_alive is called while waiting and raises when that is in vain.
        """
        began, fault_since, good = time.monotonic(), 0.0, 0
        while True:
            seen, ok = self._ask()
            good = good + 1 if ok else 0
            if good >= _IN_A_ROW:
                return True, seen
            now = time.monotonic()
            fault_since = (fault_since or now) if not ok and self._faults() else 0.0
            if now - began > _DEADLINE_S or (fault_since and now - fault_since > _FAULT_S):
                words = f"{self.url}{self.path} does not serve after {now - began:.0f} s; last: {seen}"
                return False, "; ".join([words, *self._explained()])
            require_alive()
            stopping.pause(_POLL_S)

    def _client(self) -> Client:
        """A new one each time: a connection that is kept would hide a proxy that takes no new ones."""
        settings = self.settings
        return http.client(
            base_domain=settings.base_domain,
            address=settings.ingress_address,
            base_url=self.url,
            timeout_s=serving.LOOK_S,
            total_s=serving.LOOK_S,
            most_bytes=serving.LOOK_MAX,
            ca=authority.authority(settings),
        )

    def _ask(self) -> tuple[str, bool]:
        try:
            with self._client() as client:
                return self._follow(client, httpx.URL(f"{self.url}{self.path}"))
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}", False

    def _follow(self, client: Client, asked: httpx.URL) -> tuple[str, bool]:
        """To the end of the redirects on the app's own host: one that never ends serves nobody."""
        way, url = "", asked
        for _ in range(_HOPS):
            with client.stream("GET", url, headers=serving.ACCEPTED) as answer:
                if not answer.has_redirect_location:
                    seen, ok = serving.judged(answer)
                    return f"{way}{seen}{_own_word(answer)}", ok
                target = _target(answer)
                way += f"HTTP {answer.status_code} to {answer.headers['location'][:_SHOWN_URL]}"
            if target is None or target.host != asked.host:
                return way, True  # to a login elsewhere, mostly
            way, url = f"{way}, ", target
        return f"{way}…: {_HOPS} redirects without an end; does the app read X-Forwarded-Proto?", False

    def _faults(self) -> list[str]:
        if self.api is None:
            return []
        with suppress(InfraError):
            return self.api.faults(self.placement.stack)
        return []

    def _explained(self) -> list[str]:
        """What Traefik says of the routes, and what other ways of asking give."""
        words = []
        if self.api is not None:
            try:
                said = self.api.faults(self.placement.stack) or self.api.routers(self.placement.stack)
                words.append(f"Traefik says: {' | '.join(said[:_SHOWN]) or 'it knows no router of this stack'}")
            except InfraError as error:
                words.append(f"Traefik cannot be asked: {error.message}")
        return words + self._other_ways()

    def _other_ways(self) -> list[str]:
        """What the path gives with or without its last slash, and over plain http."""
        path = self.path
        other = path.rstrip("/") if path.endswith("/") else f"{path}/"
        urls = [f"{self.url}{other}"] if other else []
        words = []
        for url in [*urls, f"{self.url}{path}".replace("https:", "http:", 1)]:
            with suppress(httpx.HTTPError), self._client() as client, client.stream("GET", url) as answer:
                where = answer.headers.get("location", "")[:_SHOWN_URL]
                words.append(
                    f"{url} gives HTTP {answer.status_code}{_own_word(answer)}{f' to {where}' if where else ''}"
                )
        return words


def _target(answer: httpx.Response) -> httpx.URL | None:
    try:
        return answer.url.join(answer.headers["location"])
    except (httpx.InvalidURL, ValueError):
        return None


def _own_word(answer: httpx.Response) -> str:
    """What it means where it is Traefik's own page, by its very words; empty for the app's."""
    own, meaning = _TRAEFIKS_OWN.get(answer.status_code, ("", ""))
    if not own:
        return ""
    body = b""
    for chunk in answer.iter_raw():
        body += chunk
        if len(body) > len(own) + 2:
            return ""  # more than Traefik says
    return f" of Traefik itself: {meaning}" if body.decode(errors="replace").strip() == own else ""
