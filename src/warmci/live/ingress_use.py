"""The ingress that a run, or the live Keycloak, takes: chosen once at the beginning, kept up until the end."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from warmci.live import ingress, lock
from warmci.live.infrastructure import TRAEFIK

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.live.ingress import Chosen
    from warmci.report.console import Console
    from warmci.swarm.engine import Engine


def take(settings: Settings, engine: Engine, instance: str, cleanup: ExitStack, console: Console) -> Chosen:
    """Raises what choose() raises, and BusyError while the live one is being replaced for too long."""
    if settings.ingress == "direct":
        return ingress.choose(settings, engine, instance)
    with ExitStack() as use:
        use.enter_context(
            lock.shared(
                settings.state_dir,
                wait_s=settings.lock_wait_s,
                on_wait=lambda: console.say("waiting for the live Traefik to be replaced", style="yellow"),
                of=TRAEFIK,
            )
        )
        chosen = ingress.choose(settings, engine, instance)
        if chosen.is_live:
            cleanup.push(use.pop_all())
    return chosen
