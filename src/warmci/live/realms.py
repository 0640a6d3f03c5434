"""The realms at the live Keycloak: who made them, which are stale, and the pass that deletes those."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from warmci.base.errors import InfraError, UsageError
from warmci.base.models import Record
from warmci.base.run_locks import may_live
from warmci.base.state import open_state
from warmci.live import keycloak_json
from warmci.sso import admin_rest, keycloak_app, realm_lifecycle
from warmci.sso.realm_lifecycle import Realm
from warmci.sso.reaper import Reaped, StaleRealm, look_for_stale, reap_stale_realms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.base.settings import Settings


class RealmState(Record):
    """A realm, and whether somebody uses it: `foreign` ones cannot be probed from here."""

    realm: Realm
    state: Literal["live", "stale", "foreign"]


@dataclass(frozen=True)
class Plan:
    """What a pass of the reaper would delete; it looks a second time before it does."""

    keycloak: admin_rest.Keycloak
    settings: Settings
    instance: str
    stale: tuple[StaleRealm, ...]


@contextmanager
def plan(settings: Settings) -> Iterator[Plan]:
    """One look. Raises InfraError when the live Keycloak does not answer, UsageError when there is none."""
    instance = open_state(settings.state_dir, floor_bytes=0).instance
    with _connected(settings) as keycloak:
        yield plan_at(keycloak, settings, instance)


def plan_at(keycloak: admin_rest.Keycloak, settings: Settings, instance: str) -> Plan:
    return Plan(keycloak, settings, instance, _look(keycloak, settings, instance))


def reap(planned: Plan) -> Reaped:
    return reap_stale_realms(
        planned.keycloak,
        planned.stale,
        lambda: _look(planned.keycloak, planned.settings, planned.instance),
        most=planned.settings.realm_reap_max,
    )


def survey(settings: Settings) -> list[RealmState]:
    """All that the service account sees."""
    with plan(settings) as planned:
        stale = {item.realm for item in planned.stale}
        found = realm_lifecycle.list_realms(planned.keycloak)

    def state_of(realm: Realm) -> Literal["live", "stale", "foreign"]:
        if realm in stale:
            return "stale"
        return "live" if realm.owner == planned.instance else "foreign"

    return [RealmState(realm=realm, state=state_of(realm)) for realm in found]


def _look(keycloak: admin_rest.Keycloak, settings: Settings, instance: str) -> tuple[StaleRealm, ...]:
    return look_for_stale(keycloak, instance, lambda run: may_live(settings.state_dir, run))


@contextmanager
def _connected(settings: Settings) -> Iterator[admin_rest.Keycloak]:
    record = keycloak_json.load_live(settings)
    if record is None:
        raise UsageError("there is no live Keycloak", hint="warmci keycloak reconcile deploys one")
    reason = keycloak_app.unhealthy(settings, record.url)
    if reason is not None:
        raise InfraError(f"the live Keycloak does not serve: {reason}", hint="warmci keycloak reconcile")
    with keycloak_app.connected(settings, record.access) as keycloak:
        yield keycloak
