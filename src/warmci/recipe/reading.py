"""A commit of a recipe read as a run reads it, with nothing deployed: the document, and all that stands in its way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from warmci.base import docker_cli, names
from warmci.base.errors import RecipeFailedError, RefusedError, UsageError
from warmci.base.models import Ingress
from warmci.recipe import trust_gate
from warmci.recipe.config import filled
from warmci.recipe.render import Placement, kept_env, render
from warmci.recipe.secret import generated

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.recipe.config import RecipeConfig
    from warmci.recipe.render import Rendered
    from warmci.recipe.repository import Repository

NOT_YET = "none-yet"
"""In place of what only a run knows, as a realm's secrets."""


@dataclass(frozen=True)
class Reading:
    """What a commit says. Without `rendered`, `wrong` tells why."""

    commit: str
    rendered: Rendered | None
    wrong: str = ""
    hint: str = ""
    is_usage: bool = False
    """Whether the operator's side is wrong, not the recipe's."""
    refused: dict[str, list[str]] = field(default_factory=dict)
    """Each word for recipe.toml's `allow` that the trust gate asks for, with the reasons."""


def placed(settings: Settings, recipe: str, kind: Ingress) -> Placement:
    """Where the app would run, as far as that can be told without an engine."""
    domain = names.canonical_domain(recipe, settings.base_domain)
    return Placement(recipe, domain, settings.port_first, NOT_YET, NOT_YET, dnsrr=False, ingress=kind, fronted=True)


def read_commit(
    settings: Settings,
    config: RecipeConfig,
    repository: Repository,
    commit: str,
    env_commit: str = "",
    kind: Ingress = Ingress.DIRECT,
) -> Reading:
    """Read commit with the .env of env_commit (its own where none is named).

    What is refused is looked into all the same: the words are all told at once. Raises InfraError without a Docker CLI.
    """
    secure = kind is Ingress.DIRECT and config.scheme == "https"
    placement = replace(placed(settings, repository.recipe, kind), secure=secure)
    cli = docker_cli.find(settings.docker_cli)
    facts = {"url": placement.url, "domain": placement.domain, "port": str(placement.port)}
    overrides = filled(config.env, facts)
    if config.sso:
        overrides |= dict.fromkeys(config.sso.env, NOT_YET)
    refused: dict[str, list[str]] = {}
    try:
        tree, old = repository.checkout(commit), repository.checkout(env_commit or commit)
        env, ask = kept_env(old, tree, placement, overrides), config.ask(placement.domain)
        try:
            rendered = render(tree, commit, env, placement, config.allow, cli, ask)
        except RefusedError as error:
            refused = error.refused
            rendered = render(tree, commit, env, placement, (*config.allow, *refused), cli, ask)
            untrue = {trust_gate.allowed_text(word) for word in refused}
            rendered = replace(rendered, deviations=tuple(said for said in rendered.deviations if said not in untrue))
    except (RecipeFailedError, UsageError) as error:
        return Reading(commit, None, error.message, error.hint or "", isinstance(error, UsageError), refused)
    return Reading(commit, rendered, refused=refused)


def missing_secrets(rendered: Rendered, config: RecipeConfig) -> list[str]:
    """Secrets that the recipe marks generate=false and recipe.toml does not give: a run ends with exit code 2."""
    given = {*config.secrets, *(config.sso.secrets if config.sso else ())}
    names_ = {key.rpartition("_")[0]: hints for key, hints in rendered.secrets.items()}
    return sorted(name for name, hints in names_.items() if not generated(hints) and name not in given)
