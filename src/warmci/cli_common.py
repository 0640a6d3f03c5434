"""What the command files share: the options of every reading command, and how settings and canonicals are found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warmci import settings
from warmci.errors import UsageError
from warmci.netns import enter

if TYPE_CHECKING:
    from warmci.canonical import CanonicalStore
    from warmci.models import Canonical
    from warmci.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="print JSON on standard output")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]
Recipe = Annotated[str, typer.Argument(help="name of the recipe")]


def group() -> typer.Typer:
    return typer.Typer(rich_markup_mode=None, no_args_is_help=True)


def load_settings(**flags: Any) -> Settings:
    """Settings, in the network namespace of the engine that they name."""
    loaded = settings.load(**flags)
    if loaded.netns is not None:
        enter(loaded.netns)
    return loaded


def open_store(loaded: Settings) -> CanonicalStore:
    from warmci.canonical import CanonicalStore  # noqa: PLC0415  (--help stays quick)
    from warmci.state import open_state  # noqa: PLC0415

    return CanonicalStore(open_state(loaded.state_dir, floor_bytes=0).dir)


def find_canonical(store: CanonicalStore, recipe: str) -> Canonical:
    found = store.load(recipe)
    if found is None:
        raise UsageError(f"there is no canonical of {recipe}", hint=f"run_recipe_ci.py {recipe} makes one when green")
    return found


def as_json(value: object) -> str:
    return json.dumps(value, indent=2)
