"""Keycloak as a deployed recipe: used for the live-warm one that stays and for the cold one of a single run."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr

from warmci.base import authority, http
from warmci.base.errors import InfraError
from warmci.recipe.config import load_config
from warmci.recipe.reading import rendered_at
from warmci.sso import admin_rest
from warmci.sso.admin_rest import ADMIN_SECRET
from warmci.swarm import pull
from warmci.swarm.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import httpx

    from warmci.base.settings import Settings
    from warmci.recipe.render import Placement, Rendered
    from warmci.recipe.repository import Repository
    from warmci.report.console import Console
    from warmci.swarm.engine import Engine

RECIPE = "keycloak"
ADMIN = "admin"


@dataclass(frozen=True)
class Provider:
    """A Keycloak that answers, and how to speak to it."""

    access: admin_rest.KeycloakAccess
    domain: str
    version: str

    @property
    def url(self) -> str:
        return self.access.url


@dataclass(frozen=True)
class Site:
    """Where a provider is deployed and what it keeps: its data, its secrets and its .env."""

    placement: Placement
    volumes: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    env_commit: str = ""
    """Commit whose .env.sample made the .env; empty: the deployed commit's own."""


def client_for(settings: Settings, url: str) -> httpx.Client:
    """Keycloak answered after 14 s under load, so reads may take a minute."""
    return http.client(
        base_domain=settings.base_domain,
        address=settings.ingress_address,
        base_url=url,
        timeout_s=60,
        ca=authority.authority(settings),
    )


@contextmanager
def connected(settings: Settings, access: admin_rest.KeycloakAccess) -> Iterator[admin_rest.Keycloak]:
    with client_for(settings, access.url) as client:
        yield admin_rest.Keycloak(access, client, settings.protected_realms)


def deploy(
    engine: Engine,
    settings: Settings,
    site: Site,
    repository: Repository,
    commit: str,
    *,
    work_dir: Path,
    announce: Callable[[str, str], None],
    console: Console,
) -> tuple[Provider, Deployment]:
    """Deploy the keycloak recipe and wait until it serves at its own URL; the access is the administrator's."""
    config, placement = load_config(settings.recipes_dir, RECIPE), site.placement
    rendered = _rendered(settings, site, repository, commit)
    site.volumes.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {path.name: path for path in site.volumes.iterdir()}
    deployment = Deployment(
        engine, placement, work_dir, kept, site.volumes, dict(site.secrets), announce, console.progress
    )
    deployment.claim()
    console.redact.add(*site.secrets.values(), *config.secrets.values())
    _pull(engine, settings, rendered, placement.run, console)
    try:
        deployment.deploy(rendered, config.secrets)
    finally:
        console.redact.add(*deployment.secrets.values())
    deadline_s = rendered.deadline_s(settings.deploy_timeout_s, settings.deploy_timeout_max_s)
    deployment.wait(deadline_s, console.progress)
    access = admin_access(placement.url, deployment.secrets)
    with client_for(settings, placement.url) as client:
        admin_rest.wait_healthy(client, placement.url, deadline_s=deadline_s)
    return Provider(access, placement.domain, rendered.version), deployment


def provide(
    engine: Engine, settings: Settings, site: Site, repository: Repository, commit: str, *, console: Console
) -> None:
    """Have its images, before anything is taken down for it. Raises as deploy does for an image that does not come."""
    _pull(engine, settings, _rendered(settings, site, repository, commit), site.placement.run, console)


def _rendered(settings: Settings, site: Site, repository: Repository, commit: str) -> Rendered:
    config = load_config(settings.recipes_dir, RECIPE)
    return rendered_at(settings, config, repository, site.placement, commit, site.env_commit)


def _pull(engine: Engine, settings: Settings, rendered: Rendered, run: str, console: Console) -> None:
    pull.provide(
        engine,
        rendered.images.values(),
        state_dir=settings.state_dir,
        run=run,
        deadline_s=settings.pull_timeout_s,
        on_change=console.progress,
    )


def admin_access(url: str, secrets: Mapping[str, str]) -> admin_rest.KeycloakAccess:
    """The administrator's login, from the recipe's secrets."""
    password = next((value for key, value in secrets.items() if key.startswith(ADMIN_SECRET)), None)
    if password is None:
        raise InfraError(f"the keycloak recipe has no secret {ADMIN_SECRET}", hint="set keycloak_ref to one that has")
    return admin_rest.KeycloakAccess(url=url, username=ADMIN, password=SecretStr(password))


def unhealthy(settings: Settings, url: str) -> str | None:
    """Why the Keycloak at url cannot serve a run; None when it can."""
    with client_for(settings, url) as client:
        return admin_rest.unhealthy_reason(client, url)


def unusable(settings: Settings, access: admin_rest.KeycloakAccess) -> str | None:
    """Why runs can't use that Keycloak by that account; None when they can."""
    reason = unhealthy(settings, access.url)
    if reason is not None:
        return reason
    try:
        with connected(settings, access) as keycloak:
            keycloak.new_token()
    except InfraError as error:
        return error.message
    return None
