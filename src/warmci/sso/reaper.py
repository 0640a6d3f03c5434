"""Realms of dead runs: found by two looks with a grace between them, deleted a bounded number at a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from warmci.base.errors import InterruptedRunError, WarmciError
from warmci.base.models import Record
from warmci.sso.realm_lifecycle import Realm, delete_keycloak_realm, is_as_listed, list_realms

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from warmci.sso.admin_rest import Keycloak

GRACE_S = 1.0
"""Between the looks. A run's lock is held before its realm is announced, so a second suffices for what is just born."""


class StaleRealm(Record):
    """A realm to delete, and why."""

    realm: Realm
    reason: str


class Reaped(Record):
    """What became of a plan; what was gone already, or had changed hands, is in neither."""

    deleted: tuple[str, ...] = ()
    failed: dict[str, str] = {}
    """Realm name to what went wrong; these stay behind."""
    postponed: tuple[str, ...] = ()
    """Left to the next pass by the cap."""


def plan_reap(
    realms: Iterable[Realm],
    owner: str,
    is_alive: Callable[[str], bool],
    now: datetime,
    protected: Collection[str] = (),
) -> tuple[StaleRealm, ...]:
    """Realms to delete: this instance's whose run is dead, however young, and others' that outlived their own TTL.

    Runs of other instances cannot be probed from here. Protected realms are nobody's to delete.
    """
    found = []
    for realm in realms:
        if realm.name in protected:
            continue
        if realm.owner == owner:
            if not is_alive(realm.run):
                found.append(StaleRealm(realm=realm, reason=f"its run {realm.run} is dead"))
        elif now - realm.created > timedelta(seconds=realm.ttl_s):
            found.append(StaleRealm(realm=realm, reason=f"made by {realm.host}, older than its {realm.ttl_s} s"))
    return tuple(found)


def look_for_stale(keycloak: Keycloak, owner: str, is_alive: Callable[[str], bool]) -> tuple[StaleRealm, ...]:
    """One look: what a pass would delete. Raises InfraError when Keycloak does not list its realms."""
    return plan_reap(list_realms(keycloak), owner, is_alive, datetime.now(UTC), keycloak.protected)


def reap_stale_realms(
    keycloak: Keycloak,
    plan: Sequence[StaleRealm],
    look_again: Callable[[], Iterable[StaleRealm]],
    *,
    most: int,
    grace_s: float = GRACE_S,
) -> Reaped:
    """Delete what the plan and a second look after the grace both name; one that fails does not stop the others."""
    if not plan:
        return Reaped()
    time.sleep(grace_s)
    confirmed = {stale.realm for stale in look_again()}
    stale = [item.realm for item in plan if item.realm in confirmed]
    deleted, failed = [], {}
    for realm in stale[:most]:
        try:
            if is_as_listed(keycloak, realm) and delete_keycloak_realm(keycloak, realm.name):
                deleted.append(realm.name)
        except InterruptedRunError:
            raise
        except WarmciError as error:
            failed[realm.name] = error.message
    return Reaped(deleted=tuple(deleted), failed=failed, postponed=tuple(realm.name for realm in stale[most:]))
