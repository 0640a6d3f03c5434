"""The live-warm Keycloak of this host: up, and down for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci import names, provider
from warmci.engine import Engine
from warmci.locks import Holder, app_lock
from warmci.ports import Ports
from warmci.render import has_ipvs
from warmci.state import open_state

if TYPE_CHECKING:
    from warmci.console import Console
    from warmci.settings import Settings

_LOCK = "warm-keycloak"


def bring_up(settings: Settings, console: Console) -> tuple[provider.Provider, bool]:
    """(the live Keycloak, whether it had to be started); one command at a time."""
    engine = Engine(settings.docker_host)
    engine.require_swarm()
    state = open_state(settings.state_dir)
    holder = Holder.here("live", provider.RECIPE, "keycloak up")
    ports = Ports(settings.locks_dir, settings.ports)
    with app_lock(state.dir, _LOCK, holder, wait_s=settings.lock_wait_s):
        try:
            return provider.ensure_live(
                engine,
                settings,
                state.instance,
                lambda: ports.take(names.live_domain(settings.base_domain)),
                dnsrr=settings.endpoint_mode == "dnsrr" or (settings.endpoint_mode == "auto" and not has_ipvs()),
                console=console,
            )
        finally:
            ports.release()


def take_down(settings: Settings) -> list[str]:
    engine = Engine(settings.docker_host)
    state = open_state(settings.state_dir, floor_bytes=0)
    holder = Holder.here("live", provider.RECIPE, "keycloak down")
    with app_lock(state.dir, _LOCK, holder, wait_s=settings.lock_wait_s):
        return provider.remove_live(engine, settings, state.instance)
