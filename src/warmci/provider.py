"""Keycloak as a deployed recipe: the live-warm one that stays, and the cold one of a single run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr

from warmci import fs, http, names, reap, sso
from warmci.deployment import Deployment
from warmci.engine import LIVE_RUN
from warmci.errors import InfraError
from warmci.recipe import clone
from warmci.recipe_config import filled, load_config
from warmci.render import Placement, read_env, render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import httpx

    from warmci.console import Console
    from warmci.engine import Engine
    from warmci.recipe import Repository
    from warmci.settings import Settings

RECIPE = "keycloak"
ADMIN = "admin"
_ADMIN_SECRET = "admin_password"  # noqa: S105  (the secret's name in the recipe)
_RECORD = "keycloak.json"


@dataclass(frozen=True)
class Provider:
    """A Keycloak that answers, and how to speak to it."""

    access: sso.KeycloakAccess
    domain: str
    version: str

    @property
    def url(self) -> str:
        return self.access.url


@dataclass(frozen=True)
class Site:
    """Where a provider is deployed and what it keeps: its data and its secrets."""

    placement: Placement
    volumes: Path
    secrets: Mapping[str, str]


def client_for(settings: Settings, url: str) -> httpx.Client:
    """Keycloak answered after 14 s under load, so reads may take a minute."""
    return http.client(base_domain=settings.base_domain, address=settings.ingress_address, base_url=url, timeout_s=60)


def newest_commit(repository: Repository, settings: Settings) -> str:
    if settings.keycloak_ref:
        return repository.resolve(settings.keycloak_ref)
    releases = repository.releases(repository.resolve(repository.default_ref()))
    if not releases:
        raise InfraError("the keycloak recipe has no release", hint="set keycloak_ref in the settings")
    return releases[-1].commit


def deploy(
    engine: Engine,
    settings: Settings,
    site: Site,
    work_dir: Path,
    *,
    announce: Callable[[str, str], None],
    console: Console,
) -> tuple[Provider, Deployment]:
    """Deploy the keycloak recipe and wait until it serves at its own URL."""
    repository = clone(settings, RECIPE, work_dir)
    commit = newest_commit(repository, settings)
    tree = repository.checkout(commit)
    config = load_config(settings.recipes_dir, RECIPE)
    placement = site.placement
    facts = {"url": placement.url, "domain": placement.domain, "port": str(placement.port)}
    rendered = render(tree, commit, read_env(tree, placement, filled(config.env, facts)), placement, config.allow)
    site.volumes.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {path.name: path for path in site.volumes.iterdir()}
    deployment = Deployment(engine, placement, work_dir, kept, site.volumes, dict(site.secrets), announce)
    deployment.claim()
    deployment.deploy(rendered, {})
    console.redact.add(*deployment.secrets.values())
    deployment.wait(settings.deploy_timeout_s, console.progress)
    access = _access(placement.url, deployment.secrets)
    with client_for(settings, placement.url) as client:
        sso.wait_healthy(client, placement.url, deadline_s=settings.deploy_timeout_s)
    return Provider(access, placement.domain, rendered.version), deployment


def _access(url: str, secrets: Mapping[str, str]) -> sso.KeycloakAccess:
    password = next((value for key, value in secrets.items() if key.startswith(_ADMIN_SECRET)), None)
    if password is None:
        raise InfraError(f"the keycloak recipe has no secret {_ADMIN_SECRET}", hint="set keycloak_ref to one that has")
    return sso.KeycloakAccess(url=url, username=ADMIN, password=SecretStr(password))


# --- the live-warm one


@dataclass(frozen=True)
class Live:
    """The live Keycloak as last recorded; it may be down."""

    provider: Provider
    secrets: Mapping[str, str]


def load_live(settings: Settings) -> Live | None:
    """None when there never was one. Raises InfraError for a record that cannot be read."""
    path = settings.live_dir / _RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        access = _access(record["url"], record["secrets"])
        return Live(Provider(access, record["domain"], record["version"]), record["secrets"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InfraError(f"{path} is not readable: {type(error).__name__}", hint="warmci keycloak down") from error


def unhealthy(settings: Settings, url: str) -> str | None:
    """Why the Keycloak at url cannot serve a run; None when it can."""
    with client_for(settings, url) as client:
        return sso.unhealthy_reason(client, url)


def ensure_live(
    engine: Engine, settings: Settings, instance: str, new_port: Callable[[], int], *, dnsrr: bool, console: Console
) -> tuple[Provider, bool]:
    """Bring the live-warm Keycloak up if it is not healthy at its stable domain; (provider, whether it was started).

    Its data and secrets are kept under the state directory, so it comes back as it was.
    """
    known = load_live(settings)
    if known is not None and unhealthy(settings, known.provider.url) is None:
        return known.provider, False
    reap.remove_objects(engine, instance, LIVE_RUN, graceful=True)
    domain = names.live_domain(settings.base_domain)
    chosen = int(known.provider.url.rpartition(":")[2]) if known else new_port()
    hosts = {domain: engine.gateway()}
    placement = Placement(RECIPE, domain, chosen, LIVE_RUN, instance, dnsrr, hosts=hosts)
    work = settings.live_dir / "work"
    fs.remove_tree(work)
    work.mkdir(mode=0o700, parents=True)
    site = Site(placement, settings.live_dir / "volumes", known.secrets if known else {})
    provider, deployment = deploy(
        engine,
        settings,
        site,
        work,
        announce=lambda kind, name: console.progress(f"{kind} {name}"),
        console=console,
    )
    record = {"url": provider.url, "domain": domain, "version": provider.version, "secrets": deployment.secrets}
    fs.write_json(settings.live_dir / _RECORD, record)
    fs.remove_tree(work)
    return provider, True


def remove_live(engine: Engine, settings: Settings, instance: str) -> list[str]:
    """Take the live Keycloak down for good: stack, secrets, data. Returns what was removed."""
    removed = reap.remove_objects(engine, instance, LIVE_RUN)
    fs.remove_tree(settings.live_dir)
    return removed
