"""Whether the app serves where WarmCI's own proxy or a port of its own leads to it, asked as its users would."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmci.base import authority, http, stopping
from warmci.run import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.settings import Settings
    from warmci.recipe.ingress import Route
    from warmci.recipe.render import Placement

_DEADLINE_S = 60.0
_POLL_S = 0.05


@dataclass(frozen=True)
class BehindDirect:
    settings: Settings
    placement: Placement
    route: Route
    path: str

    def wait(self, require_alive: Callable[[], None]) -> tuple[bool, str, bool]:
        """Ask until the app answers below 400, or a minute is over.

        (whether it serves, in words, whether a task has answered at all); require_alive is called while waiting and
        raises when that is in vain.
        """
        began, url = time.monotonic(), self.placement.url_at(self.route.host)
        with http.client(
            base_domain=self.settings.base_domain,
            address=self.settings.ingress_address,
            base_url=url,
            timeout_s=serving.LOOK_S,
            total_s=serving.LOOK_S,
            most_bytes=serving.LOOK_MAX,
            ca=authority.authority(self.settings),
        ) as client:
            while True:
                seen, ok = serving.look(client, self.path)
                if ok or time.monotonic() - began > _DEADLINE_S:
                    break
                require_alive()
                stopping.pause(_POLL_S)
        message = f"{url}{self.path} does not serve after {_DEADLINE_S:.0f} s; last: {seen}"
        return ok, message, serving.is_the_apps(seen)
