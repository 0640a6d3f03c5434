"""Whether runs can get their realms from the live Keycloak: reachable, rights, number of realms, size, clock."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import time
from typing import TYPE_CHECKING

from pydantic import SecretStr

from warmci.base import names
from warmci.base.findings import Check, checked
from warmci.base.run_locks import run_lock
from warmci.base.state import open_state
from warmci.live import footprint, keycloak_json
from warmci.sso import keycloak_app, realm_lifecycle, realm_spec

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.live.keycloak_json import LiveRecord

_SKEW_S = 5.0
"""A client rejects tokens from the future; most allow some seconds."""


def examine(settings: Settings) -> list[Check]:
    """Each on its own; those that need a Keycloak that serves are left out where there is none."""
    found: list[Check] = []
    record: LiveRecord | None = None

    def serves() -> Check:
        nonlocal record
        known = keycloak_json.load_live(settings)
        if known is None:
            detail = "there is no live one; runs deploy their own, which takes longer"
            return Check(name="Keycloak", status="warning", detail=detail, hint="warmci keycloak reconcile")
        reason = keycloak_app.unhealthy(settings, known.url)
        if reason is not None:
            return Check(name="Keycloak", status="failed", detail=reason, hint="warmci keycloak reconcile")
        record = known
        who = "run by others" if known.external else "live-warm"
        return Check(
            name="Keycloak", status="ok", detail=f"{known.version} at {known.url}, {who}; issuer as configured"
        )

    found.append(checked("Keycloak", serves))
    if record is not None:
        live = record
        found.append(checked("Keycloak rights", lambda: _rights(settings, live)))
        found.append(checked("Keycloak realms", lambda: _realms(settings, live)))
        if not live.external:
            found.append(checked("Keycloak size", lambda: _size(settings, live)))
        found.append(checked("Keycloak clock", lambda: _clock(settings, live)))
    return found


def _rights(settings: Settings, record: LiveRecord) -> Check:
    """By a probe: a realm made and deleted, in a run's name. Should we die meanwhile, it is a dead run's."""
    instance, run = open_state(settings.state_dir).instance, names.new_id()
    spec = realm_spec.RealmSpec(
        name=realm_lifecycle.new_realm_name("doctor", "", ""),
        run=run,
        owner=instance,
        host=socket.gethostname(),
        ttl_s=settings.realm_ttl_s,
        client_id="app",
        client_secret=SecretStr(names.new_id()),
        redirect_uris=(),
    )
    began = time.monotonic()
    with run_lock(settings.runs_dir / run) as lock, keycloak_app.connected(settings, record.access) as keycloak:
        realm_lifecycle.create_keycloak_realm(keycloak, spec, announce=lambda _: None)
        realm_lifecycle.delete_keycloak_realm(keycloak, spec.name)
        shutil.rmtree(lock.dir)
    seconds = time.monotonic() - began
    detail = f"{record.client_id} made and deleted a probe realm in {seconds:.1f} s"
    return Check(name="Keycloak rights", status="ok", detail=detail)


def _realms(settings: Settings, record: LiveRecord) -> Check:
    with keycloak_app.connected(settings, record.access) as keycloak:
        number = len(realm_lifecycle.list_realms(keycloak))
    detail = f"{number} of WarmCI; warned from {settings.realm_warn}, refused from {settings.realm_max}"
    status = "ok" if number < settings.realm_warn else "warning" if number < settings.realm_max else "failed"
    hint = "" if status == "ok" else "warmci realms reap"
    return Check.model_validate({"name": "Keycloak realms", "status": status, "detail": detail, "hint": hint})


def _size(settings: Settings, record: LiveRecord) -> Check:
    held = footprint.of(settings, record)
    if held.is_large:
        return Check(name="Keycloak size", status="warning", detail=str(held), hint=footprint.HINT)
    return Check(name="Keycloak size", status="ok", detail=str(held))


def _clock(settings: Settings, record: LiveRecord) -> Check:
    """A token says when it was issued, by Keycloak's clock, to the second."""
    with keycloak_app.connected(settings, record.access) as keycloak:
        before = time.time()
        token = keycloak.new_token()
        after = time.time()
    skew_s = issue_time(token) - (before + after) / 2
    status = "ok" if abs(skew_s) <= _SKEW_S + (after - before) else "failed"
    hint = "" if status == "ok" else "synchronise both clocks (systemctl status systemd-timesyncd)"
    detail = f"differs from ours by {abs(skew_s):.0f} s"
    return Check.model_validate({"name": "Keycloak clock", "status": status, "detail": detail, "hint": hint})


def issue_time(token: str) -> float:
    """The `iat` of a token whose signature is not looked at: seconds since the epoch."""
    payload = token.split(".")[1]
    return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iat"])
