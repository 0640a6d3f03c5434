"""The ingress of this host: which one runs take, and the live-warm Traefik as its operator sees it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from warmci.base import authority, trust
from warmci.base.errors import InfraError
from warmci.base.findings import Check
from warmci.base.labels import INGRESS_RUN
from warmci.base.locks import Holder, app_lock
from warmci.base.models import Ingress, Record
from warmci.base.state import open_state
from warmci.live.host_traefik import distrusted, find_others, is_public, why_not
from warmci.live.infrastructure import TRAEFIK
from warmci.live.ingress_json import load_ingress
from warmci.live.ingress_reconcile import IngressReconciler
from warmci.live.lock import alone
from warmci.live.traefik import TraefikStack
from warmci.live.traefik_api import TraefikApi
from warmci.recipe.own_ca import OwnCa
from warmci.report import alerts
from warmci.report.console import Console
from warmci.store import snapshot
from warmci.swarm import direct, reap
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warmci.base.settings import Settings
    from warmci.base.state import State
    from warmci.live.choice import Converged
    from warmci.recipe.own_ca import Way
    from warmci.swarm.published import Publisher

_LOCK = "ingress"
_LEADER_S = 60.0


@dataclass(frozen=True)
class Chosen:
    """The ingress that a run takes."""

    kind: Ingress
    said: str
    """Which, and why, in a few words."""
    api: TraefikApi | None = None
    """Of the live-warm one; how others' is asked is not known."""
    is_live: bool = False
    is_public: bool = False
    """Whether any image trusts the certificate that it serves."""
    plain: str = ""
    """Why `direct` can only speak http on this host; empty where it can speak https."""

    def scheme(self, wanted: Literal["http", "https"]) -> Literal["http", "https"]:
        """What apps speak; `wanted` is recipe.toml's word, which is for `direct`."""
        if self.kind is Ingress.TRAEFIK:
            return "https"
        return "http" if self.plain else wanted

    def own_ca(self, settings: Settings, home: Path, ways: tuple[Way, ...]) -> OwnCa | None:
        """What containers are given to trust it, written into home; None where any image does, or none is wanted.

        Our CA is made if it is not there yet; of a host's own Traefik we know none but those of SSL_CERT_FILE.
        """
        if self.is_public or not ways:
            return None
        ours = self.kind is Ingress.DIRECT or self.is_live
        ca = authority.served(settings).ca if ours else authority.authority(settings)
        return OwnCa(trust.provide(home, ca), ways)


def choose(settings: Settings, engine: Engine, instance: str) -> Chosen:
    """What the setting `ingress` comes to on this host. Nothing is deployed or built.

    Raises InfraError where Traefik is wanted and none is there, and where the live one does not serve: to take another
    ingress then would make each canonical anew.
    """
    if settings.ingress == "direct":
        return _direct(settings, engine, "direct, as the settings say")
    record = load_ingress(settings)
    if record is not None:
        reason = TraefikStack(engine, settings, instance, Console(quiet=True)).unhealthy(record)
        if reason is not None:
            raise InfraError(f"the live Traefik does not serve: {reason}", hint=TRAEFIK.reconcile)
        api = TraefikApi.of(settings, record)
        said = f"traefik, live-warm {record.version} at {record.url}"
        return Chosen(Ingress.TRAEFIK, said, api, is_live=True, is_public=trust.is_public(settings))
    others = find_others(engine, instance)
    for found in others:
        if not why_not(found):
            return _hosts_own(settings, found)
    because = why_not(others[0]) if others else "no Traefik publishes port 443 here"
    if settings.ingress == "traefik":
        raise InfraError(f"there is no Traefik that recipes could use: {because}", hint=TRAEFIK.reconcile)
    return _direct(settings, engine, f"direct, because: {because}")


def foreseen(settings: Settings) -> Chosen:
    """What `choose` comes to as far as no engine is asked; somebody else's Traefik is seen by the run alone."""
    if settings.ingress == "traefik" or (settings.ingress == "auto" and load_ingress(settings) is not None):
        return Chosen(Ingress.TRAEFIK, "traefik, as the settings or the record of the live one say")
    return Chosen(Ingress.DIRECT, "direct, as far as no engine is asked", plain=_no_certificate(settings))


def _direct(settings: Settings, engine: Engine, said: str) -> Chosen:
    reached = direct.is_possible(engine)
    plain = _no_certificate(settings) if reached else "the engine's tasks cannot be reached from here"
    return Chosen(Ingress.DIRECT, said, is_public=trust.is_public(settings), plain=plain)


def _no_certificate(settings: Settings) -> str:
    if "." in settings.base_domain or settings.tls_certificate is not None:
        return ""
    return f"no certificate can be made for names under {settings.base_domain}: it has one label only"


def _hosts_own(settings: Settings, found: Publisher) -> Chosen:
    if reason := distrusted(settings):
        raise InfraError(
            f"the certificate of {found.name} is not trusted for names under {settings.base_domain}: {reason}",
            hint=f"give it one for *.{settings.base_domain}; a CA of your own is trusted by SSL_CERT_FILE",
        )
    said = f"traefik, the host's own: {found.name} ({found.image.partition('@')[0]})"
    return Chosen(Ingress.TRAEFIK, said, is_public=is_public(settings))


class IngressStatus(Record):
    """`warmci ingress status --json`."""

    setting: str
    kind: Ingress | None
    said: str
    version: str = ""
    url: str = ""
    problem: str = ""


def examine(settings: Settings) -> Check:
    """For doctor: what a run would take; that it is direct where Traefik could be had is worth a word."""
    found = look(settings)
    if found.problem:
        return Check(name="ingress", status="failed", detail=found.problem, hint=TRAEFIK.reconcile)
    if found.kind is Ingress.DIRECT and settings.ingress == "auto":
        detail = f"{found.said}; apps are reached without Traefik, at ports of this host"
        return Check(name="ingress", status="warning", detail=detail, hint=TRAEFIK.reconcile)
    return Check(name="ingress", status="ok", detail=found.said)


def look(settings: Settings) -> IngressStatus:
    """What a run would take now, and the live Traefik's release where there is one."""
    state = open_state(settings.state_dir, floor_bytes=0)
    record = load_ingress(settings)
    facts: dict[str, str] = {"setting": settings.ingress}
    if record is not None:
        facts |= {"version": record.version, "url": record.url}
    try:
        chosen = choose(settings, Engine(settings.docker_host), state.instance)
    except InfraError as error:
        return IngressStatus.model_validate({**facts, "kind": None, "said": "none", "problem": error.message})
    return IngressStatus.model_validate({**facts, "kind": chosen.kind, "said": chosen.said})


@contextmanager
def _locked(settings: Settings, console: Console, command: str) -> Iterator[State]:
    """One command at a time works on the live Traefik."""
    state = open_state(settings.state_dir, floor_bytes=0)

    def say(other: Holder | None) -> None:
        console.say(f"waiting for {other or 'another command'}", style="yellow")

    holder = Holder.here("live", TRAEFIK.recipe, command)
    with app_lock(state.dir, _LOCK, holder, wait_s=settings.lock_wait_s, on_wait=say):
        yield state


def reconcile(settings: Settings, console: Console, *, accept: str = "") -> Converged:
    """Make the live Traefik serve, at the newest release that needs no person; `accept` lets one version through.

    Raises InfraError when it does not serve, or when an upgrade was rolled back.
    """
    engine = Engine(settings.docker_host)
    engine.require_swarm()
    engine.await_leader(_LEADER_S)
    with _locked(settings, console, "ingress reconcile") as state:
        return IngressReconciler(settings, console, state).converge(accept)


def take_down(settings: Settings, console: Console) -> list[str]:
    """Remove the live Traefik for good. Our CA stays, as others trust it by now."""
    on_wait = "waiting for runs that use the live Traefik"
    with (
        _locked(settings, console, "ingress down") as state,
        alone(
            settings.state_dir,
            wait_s=settings.lock_wait_s,
            on_wait=lambda: console.say(on_wait, style="yellow"),
            of=TRAEFIK,
        ),
    ):
        removed = reap.remove_objects(Engine(settings.docker_host), state.instance, INGRESS_RUN)
        snapshot.remove(settings.ingress_dir)
        alerts.clear(settings, TRAEFIK.subject)
        return removed
