"""What an operator sees at one glance; only looks, takes no lock, and goes on when one thing cannot be asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from warmci import alerts, live_record, provider, sso
from warmci.alerts import Alert
from warmci.canonical import CanonicalStore
from warmci.errors import InterruptedRunError, WarmciError
from warmci.models import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.settings import Settings


class CanonicalState(Record):
    recipe: str
    version: str
    state: str
    age_s: float
    lineage: tuple[str, ...]
    last_cold: str
    last_quick: str


class KeycloakState(Record):
    version: str
    url: str
    healthy: bool
    detail: str = ""
    realms: int | None = None


class Status(Record):
    """`warmci status --json`."""

    schema_version: int = 1
    at: datetime
    canonicals: tuple[CanonicalState, ...] = ()
    keycloak: KeycloakState | None = None
    alerts: tuple[Alert, ...] = ()
    problems: tuple[str, ...] = ()
    """What could not be looked at, and why."""


def look(settings: Settings) -> Status:
    facts: dict[str, object] = {"at": datetime.now(UTC)}
    problems: list[str] = []
    parts: dict[str, Callable[[Settings], object]] = {
        "canonicals": _canonicals,
        "keycloak": _keycloak,
        "alerts": lambda known: tuple(alerts.standing(known)),
    }
    for name, part in parts.items():
        try:
            facts[name] = part(settings)
        except InterruptedRunError:
            raise
        except (WarmciError, OSError) as error:
            problems.append(f"{name}: {error}")
    return Status.model_validate({**facts, "problems": tuple(problems)})


def _canonicals(settings: Settings) -> tuple[CanonicalState, ...]:
    store, now = CanonicalStore(settings.state_dir), datetime.now(UTC)
    found = (store.load(recipe) for recipe in store.recipes())
    return tuple(
        CanonicalState(
            recipe=item.recipe,
            version=item.version,
            state=item.state,
            age_s=round((now - item.created).total_seconds()),
            lineage=tuple(past.version for past in item.lineage),
            last_cold=item.last_cold,
            last_quick=item.last_quick,
        )
        for item in found
        if item is not None
    )


def _keycloak(settings: Settings) -> KeycloakState | None:
    record = live_record.load_live(settings)
    if record is None:
        return None
    reason = provider.unhealthy(settings, record.url)
    facts = {"version": record.version, "url": record.url, "healthy": reason is None, "detail": reason or ""}
    if reason is None:
        with provider.connected(settings, record.access) as keycloak:
            facts["realms"] = len(sso.list_realms(keycloak))
    return KeycloakState.model_validate(facts)
