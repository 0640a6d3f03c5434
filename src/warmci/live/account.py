"""The live Keycloak's service account, kept by its administrator: made, made again when lost, its orphans reaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.live import keycloak_json, realms
from warmci.live.keycloak_json import LiveRecord, load_deployment, save_live
from warmci.sso import keycloak_app
from warmci.sso.service_account import make_service_account

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.report.console import Console
    from warmci.sso.admin_rest import KeycloakAccess


def make(settings: Settings, admin: KeycloakAccess, *, new_secret: bool) -> KeycloakAccess:
    with keycloak_app.client_for(settings, admin.url) as client:
        return make_service_account(admin, client, new_secret=new_secret)


def admin_of(settings: Settings, record: LiveRecord) -> KeycloakAccess:
    """The administrator of a Keycloak of ours, as its deployment knows him."""
    kept = load_deployment(keycloak_json.generation_dir(settings, record.generation))
    return keycloak_app.admin_access(record.url, kept.plain_secrets())


def ensure(settings: Settings, console: Console, instance: str, record: LiveRecord) -> LiveRecord:
    """See that the account can log in; make it again if not. The administrator deletes realms of the lost one."""
    reason = keycloak_app.unusable(settings, record.access)
    if reason is None:
        return record
    console.say(f"the service account is made again: {reason}", style="yellow")
    admin = admin_of(settings, record)
    access = make(settings, admin, new_secret=True)
    record = record.model_copy(update={"client_id": access.client_id, "client_secret": access.client_secret})
    save_live(settings, record)
    with keycloak_app.connected(settings, admin) as keycloak:
        for name in realms.reap(realms.plan_at(keycloak, settings, instance)).deleted:
            console.say(f"removed realm {name}, which the lost account had made")
    return record
