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
    from collections.abc import Iterable, Mapping

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


class _NotYet(dict[str, str]):
    def __missing__(self, _: str) -> str:
        return NOT_YET


def placed(settings: Settings, recipe: str, kind: Ingress, scheme: str) -> Placement:
    """Where the app would run, as far as that can be told without an engine."""
    domain, port = names.canonical_domain(recipe, settings.base_domain), settings.port_first
    secure = kind is Ingress.DIRECT and scheme == "https"
    of_run = (NOT_YET, NOT_YET)
    return Placement(recipe, domain, port, *of_run, dnsrr=False, ingress=kind, fronted=True, secure=secure)


def overrides(config: RecipeConfig, placement: Placement, realm: Mapping[str, str] | None = None) -> dict[str, str]:
    """The recipe's variables as recipe.toml sets them; those of the run's realm have any value until there is one."""
    if realm is None:
        realm = filled(config.sso.env if config.sso else {}, _NotYet(placement.facts))
    return {**filled(config.env, placement.facts), **realm}


def rendered_at(
    settings: Settings,
    config: RecipeConfig,
    repository: Repository,
    placement: Placement,
    commit: str,
    env_commit: str = "",
    *,
    realm: Mapping[str, str] | None = None,
    allow: Iterable[str] = (),
) -> Rendered:
    """A commit's document as it is deployed, with the .env that env_commit made (its own where none is named).

    Raises RecipeFailedError, RefusedError for what is in neither recipe.toml's `allow` nor this one, UsageError;
    InfraError without a Docker CLI.
    """
    cli = docker_cli.find(settings.docker_cli)
    tree, old = repository.checkout(commit), repository.checkout(env_commit or commit)
    env = kept_env(old, tree, placement, overrides(config, placement, realm))
    allowed, ask = (*config.allow, *allow), config.ask(placement.domain)
    return render(tree, commit, env, placement, allowed, cli, ask, repository.loads)


def read_commit(
    settings: Settings,
    config: RecipeConfig,
    repository: Repository,
    placement: Placement,
    commit: str,
    env_commit: str = "",
) -> Reading:
    """Read commit as rendered_at does. What is refused is looked into all the same: the words are all told at once."""
    asked = (settings, config, repository, placement, commit, env_commit)
    refused: dict[str, list[str]] = {}
    try:
        try:
            rendered = rendered_at(*asked)
        except RefusedError as error:
            refused = error.refused
            rendered = rendered_at(*asked, allow=refused)
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
