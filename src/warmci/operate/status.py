"""What an operator sees at one glance; only looks, takes no lock, and goes on when one thing cannot be asked."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from warmci.base.disk import Room, Watermarks
from warmci.base.errors import InfraError, InterruptedRunError, WarmciError
from warmci.base.locks import held
from warmci.base.models import Record
from warmci.live import keycloak_json
from warmci.live.ingress_json import load_ingress
from warmci.live.traefik_api import TraefikApi
from warmci.operate import lock_table
from warmci.operate.lock_table import HeldLock
from warmci.report import alerts, sweep_record
from warmci.report.alerts import Alert
from warmci.report.past import newest
from warmci.sso import keycloak_app, realm_lifecycle
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.settings import Settings

_RECENT_RUNS = 5


class CanonicalState(Record):
    recipe: str
    version: str
    state: str
    age_s: float
    lineage: tuple[str, ...]
    last_cold: str
    last_quick: str
    enrolled: bool = False
    next: str = ""
    """The command that helps, where something is missing or wrong."""


class KeycloakState(Record):
    version: str
    url: str
    healthy: bool
    detail: str = ""
    realms: int | None = None


class IngressState(Record):
    setting: str
    version: str = ""
    """Of the live Traefik; empty where there is none."""
    url: str = ""
    healthy: bool = False
    detail: str = ""


class LastRun(Record):
    run: str
    recipe: str
    pr: str
    mode: str
    verdict: str
    started: datetime
    seconds: float


class LastSweep(Record):
    id: str
    started: datetime
    finished: datetime | None
    verdict: str
    exit_code: int | None
    under_way: bool = False
    """Of one that is not finished: whether somebody is at it, or it was stopped."""


class DiskState(Record):
    room: Room
    low: bool
    """Whether a run would have to prune first."""


class Status(Record):
    """`warmci status --json`."""

    schema_version: int = 1
    at: datetime
    canonicals: tuple[CanonicalState, ...] = ()
    keycloak: KeycloakState | None = None
    ingress: IngressState | None = None
    locks: tuple[HeldLock, ...] = ()
    slots: int = 0
    slots_held: int = 0
    runs: tuple[LastRun, ...] = ()
    """The newest of those that came to an end, newest first."""
    disk: DiskState | None = None
    sweep: LastSweep | None = None
    alerts: tuple[Alert, ...] = ()
    problems: tuple[str, ...] = ()
    """What could not be looked at, and why."""


def look(settings: Settings) -> Status:
    facts: dict[str, object] = {"at": datetime.now(UTC), "slots": settings.max_tests}
    problems: list[str] = []
    parts: dict[str, Callable[[Settings], object]] = {
        "canonicals": _canonicals,
        "keycloak": _keycloak,
        "ingress": _ingress,
        "locks": lambda known: tuple(lock_table.look(known)),
        "runs": _runs,
        "disk": _disk,
        "sweep": _sweep,
        "alerts": lambda known: tuple(alerts.standing(known)),
    }
    for name, part in parts.items():
        try:
            facts[name] = part(settings)
        except InterruptedRunError:
            raise
        except (WarmciError, OSError) as error:
            problems.append(f"{name}: {error}")
    seen = Status.model_validate({**facts, "problems": tuple(problems)})
    return seen.model_copy(update={"slots_held": sum(item.lock.startswith("slot-") for item in seen.locks)})


def _canonicals(settings: Settings) -> tuple[CanonicalState, ...]:
    store, now = CanonicalStore(settings.state_dir), datetime.now(UTC)
    known = store.recipes()
    found = [_canonical(store, recipe, now) for recipe in known]
    found += [_nothing(recipe, "none") for recipe in settings.recipes if recipe not in known]
    return tuple(
        one.model_copy(update={"enrolled": one.recipe in settings.recipes, "next": _next(one)})
        for one in sorted(found, key=lambda one: one.recipe)
    )


def _next(one: CanonicalState) -> str:
    commands = {
        "none": f"warmci canonical seed {one.recipe}",
        "dirty": f"run_recipe_ci.py {one.recipe}",
        "unreadable": f"warmci canonical fsck {one.recipe}",
    }
    return commands.get(one.state, "")


def _nothing(recipe: str, state: str) -> CanonicalState:
    return CanonicalState(recipe=recipe, state=state, version="", age_s=0, lineage=(), last_cold="", last_quick="")


def _canonical(store: CanonicalStore, recipe: str, now: datetime) -> CanonicalState:
    """One that cannot be read is shown as that; it hides no other."""
    try:
        found = store.load(recipe)
    except InfraError:
        found = None
    if found is None:
        return _nothing(recipe, "unreadable")
    return CanonicalState(
        recipe=found.recipe,
        version=found.version,
        state=found.state,
        age_s=round((now - found.created).total_seconds()),
        lineage=tuple(past.version for past in found.lineage),
        last_cold=found.last_cold,
        last_quick=found.last_quick,
    )


def _keycloak(settings: Settings) -> KeycloakState | None:
    record = keycloak_json.load_live(settings)
    if record is None:
        return None
    reason = keycloak_app.unhealthy(settings, record.url)
    facts = {"version": record.version, "url": record.url, "healthy": reason is None, "detail": reason or ""}
    if reason is None:
        try:
            with keycloak_app.connected(settings, record.access) as keycloak:
                facts["realms"] = len(realm_lifecycle.list_realms(keycloak))
        except InfraError as error:
            facts |= {"healthy": False, "detail": error.message}
    return KeycloakState.model_validate(facts)


def _ingress(settings: Settings) -> IngressState:
    record = load_ingress(settings)
    if record is None:
        return IngressState(setting=settings.ingress)
    try:
        TraefikApi.of(settings, record).version()
        detail = ""
    except InfraError as error:
        detail = error.message
    facts = {"setting": settings.ingress, "version": record.version, "url": record.url}
    return IngressState.model_validate({**facts, "healthy": not detail, "detail": detail})


def _runs(settings: Settings) -> tuple[LastRun, ...]:
    return tuple(
        LastRun(
            run=result.run,
            recipe=result.recipe,
            pr=result.pr,
            mode=result.ran or result.requested,
            verdict=result.verdict,
            started=result.started,
            seconds=result.seconds,
        )
        for result in islice(newest(settings.runs_dir), _RECENT_RUNS)
    )


def _disk(settings: Settings) -> DiskState:
    room = Room.of(settings.state_dir)
    return DiskState(room=room, low=Watermarks.of(settings).is_low(room))


def _sweep(settings: Settings) -> LastSweep | None:
    known = sweep_record.load_sweeps(settings.state_dir)
    if not known:
        return None
    last = known[-1]
    return LastSweep(
        id=last.id,
        started=last.started,
        finished=last.finished,
        verdict=last.verdict,
        exit_code=last.exit_code,
        under_way=last.finished is None and "sweep" in held(settings.state_dir),
    )
