"""Throw-away realms: one per run, made by one request, listed, and deleted for certain."""

from __future__ import annotations

import re
import secrets
import threading
import zlib
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import AwareDatetime, ValidationError

from warmci.base.errors import InfraError, UsageError
from warmci.base.models import Record
from warmci.base.names import realm_name
from warmci.sso.admin_rest import Answer, Keycloak, attempts, polls, realm_path
from warmci.sso.realm_spec import DISPLAY_NAME, RealmSpec, backchannel_logout, realm_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.sso.realm_keys import RealmKeys

_FIXED_PARENT = 47
_LIST = "/admin/realms?briefRepresentation=true"
_TRANSACTION_S = 300.0
_deleting = threading.Lock()
"""Older Keycloaks fail when two realms are deleted at once (keycloak#41109, #45061)."""


class Realm(Record):
    """A realm that WarmCI made."""

    name: str
    run: str
    owner: str
    host: str
    created: AwareDatetime
    ttl_s: int


# --- names


def new_realm_name(parent: str, pr: str, ref: str) -> str:
    """ci-<parent>-<pr>-<ref8>-<random>, at most 63 characters; a valid realm name whatever the parts are."""
    parts = [("ci", 2), (parent, 24), (pr, 10), (ref, 8)]
    slugs = [re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:length].rstrip("-") for text, length in parts]
    return realm_name("-".join([*filter(None, slugs), secrets.token_hex(4)]))


def fixed_realm_name(parent: str, owner: str) -> str:
    """The same for every run of a recipe on this instance: for apps that store the issuer. Needs the app's lock."""
    if len(parent) > _FIXED_PARENT or "." in parent:  # two must not share a realm: they do not share a lock
        parent = f"{parent[: _FIXED_PARENT - 9].replace('.', '-')}-{zlib.crc32(parent.encode()):08x}"
    return realm_name(f"ci-{parent}-{owner}")


# --- create and delete


class UnsettledRealmError(InfraError):
    """A request to make a realm got no answer and may still be carried out: whoever undoes it has to wait for it."""


def create_keycloak_realm(
    keycloak: Keycloak, spec: RealmSpec, *, keys: RealmKeys | None = None, announce: Callable[[str], None]
) -> None:
    """Make the realm with everything in it by one request, which Keycloak carries out whole or not at all.

    keys: else Keycloak makes its own. `announce` gets the name before the request, so that a killed run leaves no
    unknown realm. An answer that got lost is settled by looking whose realm is there. Raises InfraError when Keycloak
    refuses or the name is taken, UnsettledRealmError when it fails and the realm may appear later.
    """
    keycloak.refuse_protected(spec.name)
    body = realm_body(spec, keys)
    secrets_of_users = (user.password.get_secret_value() for user in spec.users)
    secrets_of_clients = (client.client_secret.get_secret_value() for client in spec.clients)
    keycloak.redact.add(spec.client_secret.get_secret_value(), *secrets_of_users, *filter(None, secrets_of_clients))
    if keys is not None:
        keycloak.redact.add(*keys.texts())
    announce(spec.name)
    asked: list[Answer] = []
    try:
        _create(keycloak, spec, body, asked)
    except InfraError as error:
        if any(answer.may_take_effect for answer in asked):
            raise UnsettledRealmError(error.message, hint=error.hint) from error
        raise


def _create(keycloak: Keycloak, spec: RealmSpec, body: dict[str, Any], asked: list[Answer]) -> None:
    """Ask until there is a word on the realm; every answer is put into asked."""
    clashed = False
    for attempt in attempts():
        answer = keycloak.ask("POST", "/admin/realms", body)
        asked.append(answer)
        keycloak.forget_token()
        if answer.status == 201:
            return
        # A request that got no answer goes on: what clashes afterwards, clashes with it.
        goes_on = any(earlier.may_take_effect for earlier in asked)
        if answer.is_database_clash and not clashed and not goes_on:
            clashed = True
        elif not answer.is_transient and answer.status != 409 and not (answer.is_database_clash and goes_on):
            break
        elif _is_there_as_ours(keycloak, spec, answer, goes_on=goes_on):
            return
        elif answer.status == 409 and attempt == 0:
            break  # not taken, so two parts of the body clash with each other
    last = asked[-1]
    raise InfraError(
        f"Keycloak at {keycloak.url} refuses to create realm {spec.name}; last: {last}", hint=_refusal_hint(last)
    )


def _refusal_hint(answer: Answer) -> str:
    if answer.is_database_clash or answer.is_transient:
        return "Keycloak or its database is overloaded or failing: retry the run; warmci doctor, and Keycloak's own log"
    if answer.status in (401, 403):
        return "the account needs the role create-realm of the master realm; warmci doctor"
    if answer.status in (400, 409):
        return "Keycloak does not take what the recipe's recipe.toml asks for in [sso]: see docs/sso.md"
    return "warmci doctor, and Keycloak's own log"


def _is_there_as_ours(keycloak: Keycloak, spec: RealmSpec, answer: Answer, *, goes_on: bool) -> bool:
    """goes_on: a request of ours may be making it right now, and our account has no rights on it before it is done."""
    found = keycloak.get(realm_path(spec.name))
    if found.status == 404 or (goes_on and found.status != 200):
        return False
    holder = _attributes(found).get("warmci.run") or "someone else"
    if holder != spec.run:
        raise InfraError(
            f"realm {spec.name} at {keycloak.url} belongs to {holder}; creating it answered: {answer}",
            hint="retry the run: it gets a new name",
        )
    return True


def delete_keycloak_realm(keycloak: Keycloak, name: str) -> bool:
    """Delete the realm; False when there was none. A doubtful answer is settled by looking whether it is gone.

    Raises InfraError with the last state when it stays. Not while an app runs whose data is kept: it would see 404s.
    """
    keycloak.refuse_protected(name)
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


def aim_backchannel_logout(keycloak: Keycloak, name: str, client_id: str, url: str) -> None:
    """Make Keycloak tell url when a session of the client ends. Raises InfraError when it does not take it.

    A client has one such address; the halves of a cold run have two.
    """
    path = f"{realm_path(name)}/clients"
    found = keycloak.get(f"{path}?clientId={client_id}")
    client = found.body[0] if found.status == 200 and isinstance(found.body, list) and found.body else None
    if client is not None:
        if client["attributes"].get("backchannel.logout.url") == url:
            return
        attributes = {**client["attributes"], **backchannel_logout(url)}
        found = keycloak.ask("PUT", f"{path}/{client['id']}", {**client, "attributes": attributes})
        if found.status == 204:
            return
    raise InfraError(
        f"realm {name} at {keycloak.url} does not take {url} for back-channel logouts; last: {found}",
        hint="warmci doctor; then retry the run",
    )


def missing_realm_reason(client: httpx.Client, url: str, name: str) -> str | None:
    """Why nobody can log in to the realm; None when it answers. For a realm that was there already."""
    path = f"/realms/{realm_name(name)}/.well-known/openid-configuration"
    try:
        status = client.get(f"{url}{path}").status_code
    except httpx.RequestError as error:
        return f"{url} does not answer: {type(error).__name__}: {error}"
    return None if status == 200 else f"realm {name} is gone: HTTP {status}"


def _attributes(answer: Answer) -> dict[str, str]:
    found = answer.body.get("attributes") if answer.status == 200 and isinstance(answer.body, dict) else None
    return found if isinstance(found, dict) else {}


def delete_unsettled_realm(keycloak: Keycloak, name: str) -> bool:
    """Delete a realm that a request without an answer may still make; False when it did not appear in time.

    Keycloak ends a transaction after five minutes (Quarkus, default-transaction-timeout); none commits later.
    """
    return any(delete_keycloak_realm(keycloak, name) for _ in polls(_TRANSACTION_S))


# --- list


def list_realms(keycloak: Keycloak) -> list[Realm]:
    """WarmCI's own realms, of every instance, from one brief list. Raises InfraError when Keycloak gives none."""
    answer = _brief_list(keycloak)
    if answer.status == 403:
        return []  # a service account that owns no realm yet
    if answer.status != 200 or not isinstance(answer.body, list):
        raise InfraError(f"Keycloak at {keycloak.url} does not list its realms; last: {answer}", hint="warmci doctor")
    found = (_listed(str(item.get("realm")), str(item.get("displayName"))) for item in answer.body)
    return sorted((realm for realm in found if realm), key=lambda realm: realm.name)


def _brief_list(keycloak: Keycloak) -> Answer:
    """Asked again at a 400: Keycloak says so ("Cannot parse the JSON") when a realm goes while it writes its list."""
    answer = Answer(0, "not asked")
    for _ in attempts():
        answer = keycloak.get(_LIST)
        if answer.status != 400:
            break
    return answer


def _listed(name: str, display_name: str) -> Realm | None:
    match = DISPLAY_NAME.fullmatch(display_name)
    if match is None:
        return None
    try:
        return Realm.model_validate({"name": realm_name(name), **match.groupdict()})
    except (UsageError, ValidationError):
        return None  # not written by WarmCI


def is_as_listed(keycloak: Keycloak, realm: Realm) -> bool:
    """Whether the realm itself says what the list said of it."""
    attributes = _attributes(keycloak.get(realm_path(realm.name)))
    return all(attributes.get(f"warmci.{name}") == getattr(realm, name) for name in ("run", "owner"))


# --- the budget


def count_against_budget(keycloak: Keycloak, *, most: int) -> int:
    """How many realms this account sees. Raises InfraError when that is `most` or more: another one is refused.

    Keycloak's every create and delete slows down with the number of realms; trouble is reported from about 300
    (keycloak#38803, #35228). A service account sees only its own.
    """
    number = len(list_realms(keycloak))
    if number >= most:
        raise InfraError(
            f"Keycloak at {keycloak.url} has {number} realms of WarmCI, {most} are allowed",
            hint="warmci realms list, then warmci realms reap; the cap is the setting realm_max",
        )
    return number
