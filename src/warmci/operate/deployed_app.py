"""What a canonical says of an app that somebody else deployed: its version, its domain, the secrets of its data."""

from __future__ import annotations

import stat
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from warmci.base import names
from warmci.base.errors import UsageError
from warmci.base.models import Canonical, Ingress, Lineage
from warmci.live.host_traefik import HTTPS
from warmci.recipe.config import load_config
from warmci.recipe.reading import rendered_at
from warmci.recipe.render import Placement
from warmci.recipe.repository import clone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from warmci.base.settings import Settings
    from warmci.live.ingress import Chosen
    from warmci.recipe.config import RecipeConfig
    from warmci.recipe.render import Rendered


@dataclass(frozen=True)
class SaveRequest:
    """What the operator says of the app; what is not said is as in the canonical in place."""

    recipe: str
    ref: str = ""
    domain: str = ""
    stack: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    force: bool = False


def describe(
    settings: Settings, request: SaveRequest, before: Canonical | None, run: str, instance: str, chosen: Chosen
) -> tuple[Canonical, Rendered]:
    """The entry, its snapshot left open, and the recipe as rendered at its commit; chosen: who stands before it."""
    work = settings.runs_dir / run / "work"
    work.mkdir(mode=0o700)
    repository = clone(settings, request.recipe, work)
    if request.ref:
        commit = repository.resolve(request.ref)
    elif before is not None:
        commit = before.commit
    else:
        raise UsageError(
            f"there is no canonical of {request.recipe}, so say which version its app was deployed at",
            hint="--ref VERSION (a release, branch or commit)",
        )
    if not repository.is_trusted(commit):
        raise UsageError(
            f"{commit[:8]} is not on the default branch: only trusted code becomes a canonical", hint="merge it first"
        )
    domain = (names.domain_name(request.domain) if request.domain else "") or (
        before.domain if before else names.canonical_domain(request.recipe, settings.base_domain)
    )
    ingress = chosen.kind
    moved = before is None or (before.domain, before.ingress) != (domain, ingress)
    port = _port(settings, domain, ingress) if moved or before is None else before.port
    env_commit = (before.env_commit or before.commit) if before and not request.ref else commit
    placement = Placement(request.recipe, domain, port, run, instance, dnsrr=False, ingress=ingress)
    config = load_config(settings.recipes_dir, request.recipe)
    rendered = rendered_at(settings, config, repository, placement, commit, env_commit)
    now = datetime.now(UTC)
    here = (Lineage(version=rendered.version, commit=commit, run=run, at=now),)
    entry = Canonical(
        recipe=request.recipe,
        state="good",
        commit=commit,
        version=rendered.version,
        images=before.images if before and not request.ref else {},
        domain=domain,
        port=port,
        ingress=ingress,
        scheme=chosen.scheme(config.scheme),
        env_commit=env_commit,
        snapshot=run,
        manifest_sha256="",
        lineage=before.lineage if before and not request.ref else here,
        secrets=_secrets(request, before, rendered, config),
        run=run,
        created=now,
    )
    return entry, rendered


def _port(settings: Settings, domain: str, ingress: Ingress) -> int:
    return HTTPS if ingress is Ingress.TRAEFIK else names.preferred_port(domain, settings.ports)


def engine_names(settings: Settings, canonical: Canonical, stack: str, run: str, instance: str) -> dict[str, str]:
    """Volume as the recipe calls it to its name in the engine, at the canonical's commit."""
    work = settings.runs_dir / run / "work"
    work.mkdir(mode=0o700)
    placed, ingress = (canonical.recipe, canonical.domain, canonical.port), canonical.ingress
    placement = Placement(*placed, run, instance, dnsrr=False, ingress=ingress)
    config = load_config(settings.recipes_dir, canonical.recipe)
    repository = clone(settings, canonical.recipe, work)
    env_commit = canonical.env_commit or canonical.commit
    rendered = rendered_at(settings, config, repository, placement, canonical.commit, env_commit)
    return at_stack(rendered, placement, stack)


def at_stack(rendered: Rendered, placement: Placement, stack: str) -> dict[str, str]:
    """The volumes' names in the engine, for a stack that may be called otherwise than its domain says."""
    return {name: stack + own.removeprefix(placement.stack) for name, own in rendered.volumes.items()}


def _secrets(
    request: SaveRequest, before: Canonical | None, rendered: Rendered, config: RecipeConfig
) -> dict[str, str]:
    """Every secret that the data may depend on; the realm's are new in each run, the operator's stay in recipe.toml."""
    given = {*config.secrets, *(config.sso.secrets if config.sso else {})}
    needed = [key for key in rendered.secrets if (key.rpartition("_")[0] or key) not in given]
    known = {**(before.secrets if before else {}), **request.secrets}
    if unknown := sorted(request.secrets.keys() - set(rendered.secrets)):
        raise UsageError(
            f"{request.recipe} {rendered.version} has no secret {unknown[0]}", hint=f"it has: {', '.join(needed)}"
        )
    if missing := [key for key in needed if key not in known]:
        raise UsageError(
            f"the app's data depends on secrets that are not known: {', '.join(missing)}",
            hint='--secrets FILE, with lines like: db_password_v1 = "…"',
        )
    return {key: known[key] for key in needed}


def read_secrets(path: Path) -> dict[str, str]:
    """A TOML file of name and value. Raises UsageError when others may read it; never quotes a line of it."""
    hint = f'chmod 0600 {path}; lines like: db_password_v1 = "…"'
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UsageError(f"{path} is open to others", hint=hint)
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint=hint) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise UsageError(f"{path} is not readable as TOML", hint=hint) from None
    if wrong := [name for name, value in found.items() if not isinstance(value, str) or not value]:
        raise UsageError(f"{path}: {wrong[0]} is not a text", hint=hint)
    return found
