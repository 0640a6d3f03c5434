"""The recipes that this host knows of: enrolled, configured by the operator, or with a canonical."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, UsageError
from warmci.base.models import Record
from warmci.base.names import recipe_name
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from warmci.base.settings import Settings


class KnownRecipe(Record):
    recipe: str
    enrolled: bool
    """Whether the nightly sweep takes it."""
    configured: bool
    """Whether the operator has a recipe.toml for it."""
    tests: int
    """Files of tests."""
    canonical: str
    """Its version and state; empty where there is none."""
    source: str
    """The repository that its canonical is of; empty where that is not known."""


def list_recipes(settings: Settings) -> list[KnownRecipe]:
    """By name. Directories whose name is none of a recipe are passed over, as no run can name them."""
    store = CanonicalStore(settings.state_dir)
    there = store.recipes() if settings.state_dir.is_dir() else []
    named = {*settings.recipes, *there}
    for path in settings.recipes_dir.glob("*/"):
        with suppress(UsageError):
            named.add(recipe_name(path.name))
    return [_known(settings, store, recipe) for recipe in sorted(named)]


def _known(settings: Settings, store: CanonicalStore, recipe: str) -> KnownRecipe:
    home, text, source = settings.recipes_dir / recipe, "", ""
    try:
        canonical = store.load(recipe) if settings.state_dir.is_dir() else None
    except InfraError:
        text = "unreadable"
    else:
        if canonical is not None:
            text, source = f"{canonical.version}, {canonical.state}", canonical.source
    return KnownRecipe(
        recipe=recipe,
        enrolled=recipe in settings.recipes,
        configured=(home / "recipe.toml").is_file(),
        tests=len(list(home.glob("test_*.py"))),
        canonical=text,
        source=source,
    )
