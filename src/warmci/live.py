"""The live-warm Keycloak of this host, as its operator sees it: reconcile, bootstrap, down."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from warmci import live_lock, live_record, provider, reap, snapshot, sso
from warmci.engine import LIVE_RUN, Engine
from warmci.errors import InfraError, UsageError
from warmci.keycloak import Keycloak
from warmci.live_reconcile import Converged, Reconciler, record_of
from warmci.locks import Holder, app_lock
from warmci.service_account import make_service_account
from warmci.state import open_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

    from warmci.console import Console
    from warmci.settings import Settings
    from warmci.state import State

_LOCK = "warm-keycloak"


@contextmanager
def _locked(settings: Settings, console: Console, command: str) -> Iterator[State]:
    """One command at a time works on the live Keycloak."""
    state = open_state(settings.state_dir, floor_bytes=0)
    holder = Holder.here("live", provider.RECIPE, command)
    wait_s = settings.lock_wait_s

    def say(other: Holder | None) -> None:
        console.say(f"waiting for {other or 'another command'}", style="yellow")

    with app_lock(state.dir, _LOCK, holder, wait_s=wait_s, on_wait=say):
        yield state


def reconcile(settings: Settings, console: Console, *, accept: str = "") -> Converged:
    """Make the live Keycloak serve, at the newest release that needs no person; `accept` lets one version through.

    Raises InfraError when it does not serve, or when an upgrade was rolled back.
    """
    Engine(settings.docker_host).require_swarm()
    with _locked(settings, console, "keycloak reconcile") as state:
        return Reconciler(settings, console, state).converge(accept)


def bootstrap(settings: Settings, console: Console) -> str:
    """Make the service account of the live Keycloak anew, by its administrator; returns its name."""
    with _locked(settings, console, "keycloak bootstrap") as state:
        record = live_record.load_live(settings)
        if record is None:
            raise UsageError("there is no live Keycloak", hint="warmci keycloak reconcile deploys one")
        if record.external:
            raise UsageError(f"Keycloak at {record.url} is run by others", hint="name its administrator: --username")
        kept = live_record.load_deployment(live_record.generation_dir(settings, record.generation))
        admin = provider.admin_access(record.url, kept.plain_secrets())
        with provider.client_for(settings, record.url) as client:
            access = make_service_account(admin, client, state.instance)
        update = {"client_id": access.client_id, "client_secret": access.client_secret}
        live_record.save_live(settings, record.model_copy(update=update))
        return access.client_id


def adopt(settings: Settings, console: Console, url: str, username: str, password: SecretStr) -> str:
    """Use a Keycloak that others run: make our service account there by its administrator; returns its name.

    Raises UsageError when this host has a live one of its own.
    """
    with _locked(settings, console, "keycloak bootstrap") as state:
        record = live_record.load_live(settings)
        if record is not None and not record.external:
            raise UsageError("this host has a live Keycloak of its own", hint="warmci keycloak down removes it")
        try:
            admin = sso.KeycloakAccess(url=url, username=username, password=password)
        except ValueError as error:
            raise UsageError(f"{url} is not a plain http(s) URL", hint="as in https://sso.example.org") from error
        with provider.client_for(settings, admin.url) as client:
            sso.check_health(client, admin.url)
            version = _version_of(Keycloak(admin, client))
            access = make_service_account(admin, client, state.instance)
        live_record.save_live(settings, record_of(access, url=access.url, version=version))
        return access.client_id


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
    with (
        _locked(settings, console, "keycloak down") as state,
        live_lock.alone(
            settings.state_dir,
            wait_s=settings.lock_wait_s,
            on_wait=lambda: console.say("waiting for runs that use the live Keycloak", style="yellow"),
        ),
    ):
        removed = reap.remove_objects(Engine(settings.docker_host), state.instance, LIVE_RUN)
        snapshot.remove(settings.live_dir)
        return removed
