"""What a run needs, checked one by one; never raises, says the next command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from warmci import provider
from warmci.engine import Engine
from warmci.errors import WarmciError
from warmci.models import Record
from warmci.render import has_ipvs
from warmci.state import open_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.settings import Settings


class Check(Record):
    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    hint: str = ""


def examine(settings: Settings) -> list[Check]:
    """All checks, whatever the others say."""
    return [
        _checked("state directory", lambda: _state(settings)),
        _checked("engine", lambda: _engine(settings)),
        _checked("IPVS", _ipvs),
        _checked("Keycloak", lambda: _keycloak(settings)),
    ]


def _checked(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except (WarmciError, OSError) as error:
        return Check(name=name, status="failed", detail=str(error), hint=getattr(error, "hint", "") or "")


def _state(settings: Settings) -> Check:
    state = open_state(settings.state_dir)
    return Check(name="state directory", status="ok", detail=f"{state.dir}, instance {state.instance}")


def _engine(settings: Settings) -> Check:
    engine = Engine(settings.docker_host)
    engine.require_swarm()
    return Check(name="engine", status="ok", detail=f"{engine.version()} at {settings.docker_host}, swarm manager")


def _ipvs() -> Check:
    if has_ipvs():
        return Check(name="IPVS", status="ok", detail="the kernel serves virtual addresses")
    return Check(name="IPVS", status="warning", detail="absent: endpoint_mode dnsrr is used, said in every result")


def _keycloak(settings: Settings) -> Check:
    live = provider.load_live(settings)
    if live is None:
        detail = "no live Keycloak: runs that need one deploy their own"
        return Check(name="Keycloak", status="warning", detail=detail, hint="warmci keycloak up")
    if reason := provider.unhealthy(settings, live.provider.url):
        return Check(name="Keycloak", status="failed", detail=reason, hint="warmci keycloak up")
    return Check(name="Keycloak", status="ok", detail=f"{live.provider.version} at {live.provider.url}")
