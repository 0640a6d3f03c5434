"""Throw-away realms: one per run, made by one request, deleted for certain, reaped when their run is dead."""

from __future__ import annotations

import re
import secrets
import threading
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, ValidationError

from warmci.errors import InfraError, UsageError
from warmci.keycloak import (
    Keycloak,
    KeycloakAccess,
    attempts,
    check_health,
    realm_path,
    unhealthy_reason,
    wait_healthy,
)
from warmci.models import Record
from warmci.names import realm_name
from warmci.realm_spec import DISPLAY_NAME, OWNER, RUN, RealmSpec, RealmUser, realm_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import timedelta

    from warmci.keycloak import Answer

__all__ = [
    "Keycloak",
    "KeycloakAccess",
    "Realm",
    "RealmSpec",
    "RealmUser",
    "Reaped",
    "check_health",
    "create_keycloak_realm",
    "delete_keycloak_realm",
    "list_realms",
    "new_realm_name",
    "plan_reap",
    "reap_stale_realms",
    "unhealthy_reason",
    "wait_healthy",
]

_deleting = threading.Lock()
"""Older Keycloaks fail when two realms are deleted at once (keycloak#41109, #45061)."""


class Realm(Record):
    """A realm that WarmCI made."""

    name: str
    run: str
    owner: str
    created: AwareDatetime


class Reaped(Record):
    """What became of a plan; what was gone already, or had changed hands, is in neither."""

    deleted: tuple[str, ...] = ()
    failed: dict[str, str] = {}
    """Realm name to what went wrong; these stay behind."""


# --- names


def new_realm_name(parent: str, pr: str, ref: str) -> str:
    """ci-<parent>-<pr>-<ref8>-<random>, at most 63 characters; a valid realm name whatever the parts are."""
    parts = [("ci", 2), (parent, 24), (pr, 10), (ref, 8)]
    slugs = [re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:length].rstrip("-") for text, length in parts]
    return realm_name("-".join([*filter(None, slugs), secrets.token_hex(4)]))


# --- create and delete


def create_keycloak_realm(keycloak: Keycloak, spec: RealmSpec, *, announce: Callable[[str], None]) -> None:
    """Make the realm with everything in it by one request, which Keycloak carries out whole or not at all.

    `announce` gets the name before the request, so that a killed run leaves no unknown realm. An answer that got lost
    is settled by looking whose realm is there. Raises InfraError when Keycloak refuses or the name is taken.
    """
    body = realm_body(spec)
    keycloak.redact.add(spec.client_secret.get_secret_value(), *(u.password.get_secret_value() for u in spec.users))
    announce(spec.name)
    answer, clashed = None, False
    for attempt in attempts():
        answer = keycloak.ask("POST", "/admin/realms", body)
        keycloak.forget_token()
        if answer.status == 201:
            return
        if answer.is_database_clash and not clashed:
            clashed = True
        elif not answer.is_transient and answer.status != 409:
            break
        elif _is_there_as_ours(keycloak, spec, answer):
            return
        elif answer.status == 409 and attempt == 0:
            break  # not taken, so two parts of the body clash with each other
    raise InfraError(
        f"Keycloak at {keycloak.url} refuses to create realm {spec.name}; last: {answer}",
        hint="the account needs the role create-realm of the master realm; warmci doctor",
    )


def _is_there_as_ours(keycloak: Keycloak, spec: RealmSpec, answer: Answer) -> bool:
    found = keycloak.get(realm_path(spec.name))
    if found.status == 404:
        return False
    holder = _attributes(found).get(RUN) or "someone else"
    if holder != spec.run:
        raise InfraError(
            f"realm {spec.name} at {keycloak.url} belongs to {holder}; creating it answered: {answer}",
            hint="retry the run: it gets a new name",
        )
    return True


def delete_keycloak_realm(keycloak: Keycloak, name: str) -> bool:
    """Delete the realm; False when there was none. A doubtful answer is settled by looking whether it is gone.

    Raises InfraError with the last state when it stays. Delete after the app is undeployed, which would see 404s.
    """
    path, clashed, answer = realm_path(name), False, None
    with _deleting:
        for attempt in attempts():
            answer = keycloak.ask("DELETE", path)
            if answer.status in (204, 404):
                return answer.status == 204 or attempt > 0
            if answer.is_database_clash and not clashed:
                clashed = True
            elif not answer.is_transient and answer.status != 409:
                break
            elif keycloak.get(path).status == 404:
                return True
    raise InfraError(
        f"realm {name} at {keycloak.url} could not be deleted and stays behind; last: {answer}", hint="warmci recover"
    )


def _attributes(answer: Answer) -> dict[str, str]:
    found = answer.body.get("attributes") if answer.status == 200 and isinstance(answer.body, dict) else None
    return found if isinstance(found, dict) else {}


# --- list and reap


def list_realms(keycloak: Keycloak) -> list[Realm]:
    """WarmCI's own realms, of every instance, from one brief list. Raises InfraError when Keycloak gives none."""
    answer = keycloak.get("/admin/realms?briefRepresentation=true")
    if answer.status == 403:
        return []  # a service account that owns no realm yet
    if answer.status != 200 or not isinstance(answer.body, list):
        raise InfraError(f"Keycloak at {keycloak.url} does not list its realms; last: {answer}", hint="warmci doctor")
    found = (_listed(str(item.get("realm")), str(item.get("displayName"))) for item in answer.body)
    return sorted((realm for realm in found if realm), key=lambda realm: realm.name)


def _listed(name: str, display_name: str) -> Realm | None:
    match = DISPLAY_NAME.fullmatch(display_name)
    return _realm(name, *match.groups()) if match else None


def _realm(name: str, run: str, owner: str, created: str) -> Realm | None:
    try:
        return Realm(name=realm_name(name), run=run, owner=owner, created=datetime.fromisoformat(created))
    except (UsageError, ValidationError, ValueError):
        return None  # not written by WarmCI


def plan_reap(
    realms: Iterable[Realm],
    owner: str,
    is_alive: Callable[[str], bool],
    now: datetime,
    *,
    foreign_older_than: timedelta | None = None,
) -> list[Realm]:
    """Realms to delete: this instance's whose run is dead, however young.

    Runs of other instances cannot be probed from here. Theirs are only taken when the operator gives an age.
    """
    return [
        realm
        for realm in realms
        if (realm.owner == owner and not is_alive(realm.run))
        or (realm.owner != owner and foreign_older_than is not None and now - realm.created > foreign_older_than)
    ]


def reap_stale_realms(keycloak: Keycloak, plan: Sequence[Realm]) -> Reaped:
    """Delete the planned realms that still are what the plan says; one that fails does not stop the others."""
    deleted, failed = [], {}
    for realm in plan:
        try:
            if _is_as_planned(keycloak, realm) and delete_keycloak_realm(keycloak, realm.name):
                deleted.append(realm.name)
        except InfraError as error:
            failed[realm.name] = error.message
    return Reaped(deleted=tuple(deleted), failed=failed)


def _is_as_planned(keycloak: Keycloak, realm: Realm) -> bool:
    attributes = _attributes(keycloak.get(realm_path(realm.name)))
    return attributes.get(RUN) == realm.run and attributes.get(OWNER) == realm.owner
