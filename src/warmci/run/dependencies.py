"""What a recipe needs beside itself: a Keycloak, live-warm or deployed for this run, and the run's realm in it."""

from __future__ import annotations

import secrets
import socket
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
from pydantic import SecretStr

from warmci.base import names
from warmci.base.errors import InfraError, InterruptedRunError, WarmciError
from warmci.base.side_by_side import beside
from warmci.live import keycloak_json, lock
from warmci.recipe.config import SsoConfig, claim_source, email_of, load_config
from warmci.recipe.repository import clone, wanted_releases
from warmci.sso import keycloak_app, realm_keys, realm_lifecycle, realm_spec
from warmci.sso.run_realm import CLIENT, Deletion, RunRealm, roles_of, users_of
from warmci.swarm import reap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmci.recipe.render import Placement
    from warmci.run.context import Context


def open_realm(context: Context, apps: Sequence[Placement]) -> RunRealm:
    """Begin to make the run's realm, at the live Keycloak if it is healthy, else at one deployed cold in this run.

    Its deletion is registered at once, and begins when each of `apps` has released it, or at the end; RunRealm.wait
    tells when it is there, or that Keycloak refuses.
    """
    serving = _live(context) or _cold(context)
    schemes = httpx.URL(serving.url).scheme, httpx.URL(apps[0].url).scheme
    if schemes[0] != schemes[1]:
        context.deviate(f"mixed: Keycloak speaks {schemes[0]}, the app {schemes[1]}")
    config = context.config.sso or SsoConfig()
    name = _name(context, fixed=config.fixed_realm)
    realm = RunRealm(
        context.settings,
        serving,
        name,
        client_secret=secrets.token_urlsafe(32),
        passwords={user: secrets.token_urlsafe(16) for user in users_of(config)},
        config=config,
        client_secrets={
            client: "" if about.public else secrets.token_urlsafe(32) for client, about in config.clients.items()
        },
    )
    context.console.redact.add(realm.client_secret, *realm.passwords.values(), *realm.client_secrets.values())
    spec = _spec(context, realm, apps)
    pool = ThreadPoolExecutor(1, thread_name_prefix="realm")
    with context.shielded():
        made = pool.submit(_create, context, serving, spec, fresh=config.fixed_realm)
        deletion = Deletion(lambda: _delete(context, serving, name, made), users=len(apps))
        context.cleanup.callback(deletion.finish)
    pool.shutdown(wait=False)
    return replace(realm, made=made, deletion=deletion)


def _spec(context: Context, realm: RunRealm, apps: Sequence[Placement]) -> realm_spec.RealmSpec:
    config, origins = realm.config, tuple(app.url for app in apps)
    users = tuple(
        realm_spec.RealmUser(
            username=name,
            password=SecretStr(realm.passwords[name]),
            email=email_of(name, user),
            first_name=user.first_name or name.capitalize(),
            last_name=user.last_name,
            roles=roles_of(user, config),
            groups=user.groups,
            attributes=user.attributes,
        )
        for name, user in users_of(config).items()
    )
    clients = tuple(
        realm_spec.ExtraClient(
            client_id=name,
            client_secret=SecretStr(realm.client_secrets[name]),
            redirect_uris=tuple(f"{url}{path}" for url in origins for path in client.redirect_paths),
            web_origins=origins,
            public=client.public,
            service_account=client.service_account,
        )
        for name, client in config.clients.items()
    )
    sources = {name: claim_source(said) for name, said in config.claims.items()}
    return realm_spec.RealmSpec(
        name=realm.name,
        run=context.run_id,
        owner=context.instance,
        host=socket.gethostname(),
        ttl_s=context.settings.realm_ttl_s,
        client_id=CLIENT,
        client_secret=SecretStr(realm.client_secret),
        redirect_uris=tuple(f"{url}{path}" for url in origins for path in config.redirect_paths),
        web_origins=origins,
        users=users,
        roles=tuple(sorted({role for user in users for role in user.roles})),
        clients=clients,
        claims={name: said for name, said in config.claims.items() if not sources[name]},
        claim_sources={name: source for name, source in sources.items() if source},
    )


def _name(context: Context, *, fixed: bool) -> str:
    request = context.request
    if fixed:
        return realm_lifecycle.fixed_realm_name(request.recipe, context.instance)
    return realm_lifecycle.new_realm_name(request.recipe, request.pr, request.ref)


def _create(context: Context, serving: keycloak_app.Provider, spec: realm_spec.RealmSpec, *, fresh: bool) -> None:
    """In a thread of its own: swarm takes a second to start a container, Keycloak half a second to make a realm.

    fresh: a realm of this very name can only be a dead run's, for we hold the app's lock: it goes first.
    """
    with beside(realm_keys.THREADS) as side, keycloak_app.connected(context.settings, serving.access) as keycloak:
        under_way = realm_keys.begin(side)  # first: openssl is at it while Keycloak answers
        number = realm_lifecycle.count_against_budget(keycloak, most=context.settings.realm_max)
        if number >= context.settings.realm_warn:
            context.deviate(f"Keycloak has {number} realms of WarmCI: each makes it slower (warmci realms list)")
        if fresh:
            realm_lifecycle.delete_keycloak_realm(keycloak, spec.name)
        keys = under_way.finish()
        context.console.redact.add(*keys.texts())
        realm_lifecycle.create_keycloak_realm(
            keycloak,
            spec,
            keys=keys,
            announce=lambda name: context.journal.note("realm", name, url=serving.url),
        )


def _delete(context: Context, serving: keycloak_app.Provider, name: str, made: Future[None]) -> None:
    # A request under way is still carried out, and would be after the deletion that should have undone it.
    wait([made])
    with keycloak_app.connected(context.settings, serving.access) as keycloak:
        if not isinstance(made.exception(), realm_lifecycle.UnsettledRealmError):
            realm_lifecycle.delete_keycloak_realm(keycloak, name)
            return
        context.console.say(f"Keycloak gave no answer on realm {name} and may yet make it: waiting", style="yellow")
        realm_lifecycle.delete_unsettled_realm(keycloak, name)


def _live(context: Context) -> keycloak_app.Provider | None:
    """The live Keycloak, kept up until the run's clean-up is over; None when there is none that can be used."""
    settings = context.settings
    with ExitStack() as use:
        use.enter_context(
            lock.shared(
                settings.state_dir,
                wait_s=settings.lock_wait_s,
                on_wait=lambda: context.console.say("waiting for the live Keycloak to be replaced", style="yellow"),
            )
        )
        record = keycloak_json.load_live(settings)
        reason = "there is no live Keycloak" if record is None else keycloak_app.unusable(settings, record.access)
        if record is not None and reason is None:
            context.cleanup.push(use.pop_all())
            context.dependencies["keycloak"] = f"live-warm {record.version} at {record.url}"
            return keycloak_app.Provider(record.access, record.domain, record.version)
    # Let go of: whoever brings the live one back must not wait for a run that does without.
    context.dependencies["keycloak"] = f"co-deployed cold, because: {reason}"
    context.console.say(f"Keycloak is deployed cold for this run, because: {reason}", style="yellow")
    return None


def _cold(context: Context) -> keycloak_app.Provider:
    domain = names.cold_domain(keycloak_app.RECIPE, context.settings.base_domain)
    placed = context.place(domain)
    ways = load_config(context.settings.recipes_dir, keycloak_app.RECIPE).trust
    placement = replace(
        placed,
        recipe=keycloak_app.RECIPE,
        fronted=False,
        secure=False,  # without a proxy of ours it speaks http at its own port
        hosts={domain: context.gateway},
        own_ca=context.ingress.own_ca(context.settings, context.trust_dir, ways),
    )
    work = context.work_dir / placement.stack
    work.mkdir(mode=0o700)

    context.cleanup.callback(reap.remove_stack, context.engine, placement.labels, placement.stack)
    try:
        repository = clone(context.settings, keycloak_app.RECIPE, work)
        serving, _ = keycloak_app.deploy(
            context.engine,
            context.settings,
            keycloak_app.Site(placement, work / "volumes"),
            repository,
            wanted_releases(repository, context.settings.keycloak_ref)[-1].commit,
            work_dir=work,
            announce=context.journal.note,
            console=context.console,
        )
    except InterruptedRunError:
        raise
    except WarmciError as error:
        raise InfraError(
            f"Keycloak could not be deployed for this run: {error.message}", hint="warmci keycloak reconcile"
        ) from error
    return serving
