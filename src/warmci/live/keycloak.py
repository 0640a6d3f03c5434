"""The live-warm Keycloak of this host, as its operator sees it: reconcile, bootstrap, down."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from warmci.base.errors import InfraError, UsageError
from warmci.base.labels import LIVE_RUN
from warmci.base.locks import Holder, app_lock
from warmci.base.state import open_state
from warmci.live import account, keycloak_json, lock
from warmci.live.infrastructure import KEYCLOAK
from warmci.live.reconcile import Reconciler
from warmci.report import alerts
from warmci.sso import admin_rest, keycloak_app
from warmci.sso.admin_rest import Keycloak
from warmci.store import snapshot
from warmci.swarm import reap
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from pydantic import SecretStr

    from warmci.base.settings import Settings
    from warmci.base.state import State
    from warmci.live.choice import Converged
    from warmci.report.console import Console

_LOCK = "warm-keycloak"
_LEADER_S = 60.0
"""A unit calls this at boot, when the swarm has none yet."""


@dataclass(frozen=True)
class Administrator:
    """Of the master realm."""

    name: str
    password: SecretStr


@contextmanager
def _locked(settings: Settings, console: Console, command: str) -> Iterator[State]:
    """One command at a time works on the live Keycloak."""
    state = open_state(settings.state_dir, floor_bytes=0)
    holder = Holder.here("live", keycloak_app.RECIPE, command)
    wait_s = settings.lock_wait_s

    def say(other: Holder | None) -> None:
        console.say(f"waiting for {other or 'another command'}", style="yellow")

    with app_lock(state.dir, _LOCK, holder, wait_s=wait_s, on_wait=say):
        yield state


def reconcile(settings: Settings, console: Console, *, accept: str = "") -> Converged:
    """Make the live Keycloak serve, at the newest release that needs no person; `accept` lets one version through.

    Raises InfraError when it does not serve, or when an upgrade was rolled back.
    """
    engine = Engine(settings.docker_host)
    engine.require_swarm()
    engine.await_leader(_LEADER_S)
    with _locked(settings, console, "keycloak reconcile") as state:
        return Reconciler(settings, console, state).converge(accept)


def bootstrap(settings: Settings, console: Console, administrator: Administrator | None = None) -> str:
    """Give the live Keycloak's service account a new secret, by its administrator; returns the account's name.

    administrator: as he is now, where he was changed in Keycloak itself; he is remembered.
    """
    with _locked(settings, console, "keycloak bootstrap"), _alone(settings, console):
        record = keycloak_json.load_live(settings)
        if record is None:
            raise UsageError("there is no live Keycloak", hint="warmci keycloak reconcile deploys one")
        if record.external:
            raise UsageError(f"Keycloak at {record.url} is run by others", hint="name it: --url")
        admin = account.admin_of(settings, record)
        if administrator is not None:
            admin = _access(record.url, administrator)
        access = account.make(settings, admin, new_secret=True)
        if administrator is not None:
            home = keycloak_json.generation_dir(settings, record.generation)
            keycloak_json.save_deployment(home, keycloak_json.load_deployment(home).with_admin(administrator.password))
        update = {"client_id": access.client_id, "client_secret": access.client_secret}
        keycloak_json.save_live(settings, record.model_copy(update=update))
        return access.client_id


def adopt(settings: Settings, console: Console, url: str, administrator: Administrator) -> str:
    """Use a Keycloak that others run, by the account that all hosts share there; returns its name.

    Raises UsageError when this host has a live one of its own.
    """
    with _locked(settings, console, "keycloak bootstrap"), _alone(settings, console):
        record = keycloak_json.load_live(settings)
        if record is not None and not record.external:
            raise UsageError("this host has a live Keycloak of its own", hint="warmci keycloak down removes it")
        admin = _access(url, administrator)
        with keycloak_app.client_for(settings, admin.url) as client:
            admin_rest.check_health(client, admin.url)
            version = _version_of(Keycloak(admin, client))
        access = account.make(settings, admin, new_secret=False)
        keycloak_json.save_live(settings, keycloak_json.of(access, url=access.url, version=version))
        return access.client_id


def _access(url: str, administrator: Administrator) -> admin_rest.KeycloakAccess:
    try:
        return admin_rest.KeycloakAccess(url=url, username=administrator.name, password=administrator.password)
    except ValidationError as error:
        raise UsageError(f"{url!a}: {error.errors(include_input=False)[0]['msg']}", hint="--url, --username") from None


def _version_of(keycloak: Keycloak) -> str:
    answer = keycloak.get("/admin/serverinfo")
    try:
        return str(answer.body["systemInfo"]["version"])
    except (KeyError, TypeError):
        raise InfraError(
            f"Keycloak at {keycloak.url} does not tell its version; last: {answer}",
            hint="bootstrap needs an administrator of the master realm",
        ) from None


def take_down(settings: Settings, console: Console) -> list[str]:
    """Remove the live Keycloak for good: stack, secrets, data; one of others is only forgotten."""
    with _locked(settings, console, "keycloak down") as state, _alone(settings, console):
        removed = reap.remove_objects(Engine(settings.docker_host), state.instance, LIVE_RUN)
        snapshot.remove(settings.live_dir)
        alerts.clear(settings, KEYCLOAK.subject)
        return removed


def _alone(settings: Settings, console: Console) -> AbstractContextManager[None]:
    return lock.alone(
        settings.state_dir,
        wait_s=settings.lock_wait_s,
        on_wait=lambda: console.say("waiting for runs that use the live Keycloak", style="yellow"),
    )
