"""What a recipe needs beside itself: a Keycloak, live-warm or deployed for this run, and the run's realm in it."""

from __future__ import annotations

import secrets
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from warmci import names, provider, reap, sso
from warmci.errors import InfraError
from warmci.realm import CLIENT, USER, RunRealm
from warmci.recipe_config import SsoConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmci.context import Context
    from warmci.render import Placement


def open_realm(context: Context, apps: Sequence[Placement]) -> RunRealm:
    """Begin to make the run's realm, at the live Keycloak if it is healthy, else at one deployed cold in this run.

    Its deletion is registered at once; RunRealm.wait tells when it is there, or that Keycloak refuses.
    """
    serving = _live(context) or _cold(context)
    name = sso.new_realm_name(context.request.recipe, context.request.pr, context.request.ref)
    config = context.config.sso or SsoConfig()
    realm = RunRealm(context.settings, serving, name, secrets.token_urlsafe(32), secrets.token_urlsafe(16), config)
    context.console.redact.add(realm.client_secret, realm.password)
    spec = sso.RealmSpec(
        name=name,
        run=context.run_id,
        owner=context.instance,
        client_id=CLIENT,
        client_secret=SecretStr(realm.client_secret),
        redirect_uris=tuple(f"{app.url}{path}" for app in apps for path in config.redirect_paths),
        web_origins=tuple(app.url for app in apps),
        users=(
            sso.RealmUser(
                username=USER,
                password=SecretStr(realm.password),
                email=f"{USER}@example.org",
                first_name="Alice",
                last_name="Example",
            ),
        ),
        roles=(),
    )
    pool = ThreadPoolExecutor(1, thread_name_prefix="realm")
    with context.shielded():
        made = pool.submit(_create, context, serving, spec)
        context.cleanup.callback(_delete, context, serving, name, made)
    pool.shutdown(wait=False)
    return replace(realm, made=made)


def _create(context: Context, serving: provider.Provider, spec: sso.RealmSpec) -> None:
    """In a thread of its own: swarm takes a second to start a container, Keycloak half a second to make a realm."""
    with provider.client_for(context.settings, serving.url) as client:
        sso.create_keycloak_realm(
            sso.Keycloak(serving.access, client),
            spec,
            announce=lambda name: context.journal.note("realm", name, url=serving.url),
        )


def _delete(context: Context, serving: provider.Provider, name: str, made: Future[None]) -> None:
    # A request under way is still carried out, and would be after the deletion that should have undone it.
    wait([made])
    with provider.client_for(context.settings, serving.url) as client:
        sso.delete_keycloak_realm(sso.Keycloak(serving.access, client), name)


def _live(context: Context) -> provider.Provider | None:
    known = provider.load_live(context.settings)
    reason = "there is no live Keycloak" if known is None else provider.unhealthy(context.settings, known.provider.url)
    if known is not None and reason is None:
        context.dependencies["keycloak"] = f"live-warm {known.provider.version} at {known.provider.url}"
        return known.provider
    context.dependencies["keycloak"] = f"co-deployed cold, because: {reason}"
    context.console.say(f"Keycloak is deployed cold for this run, because: {reason}", style="yellow")
    return None


def _cold(context: Context) -> provider.Provider:
    domain = names.cold_domain(provider.RECIPE, context.settings.base_domain)
    placed = context.place(domain)
    placement = replace(placed, recipe=provider.RECIPE, hosts={domain: context.gateway})
    work = context.work_dir / placement.stack
    work.mkdir(mode=0o700)

    context.cleanup.callback(reap.remove_stack, context.engine, placement.labels, placement.stack)
    try:
        serving, _ = provider.deploy(
            context.engine,
            context.settings,
            provider.Site(placement, work / "volumes", {}),
            work,
            announce=context.journal.note,
            console=context.console,
        )
    except Exception as error:
        raise InfraError(f"Keycloak could not be deployed for this run: {error}", hint="warmci keycloak up") from error
    return serving
