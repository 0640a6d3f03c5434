"""`warmci canonical`: the registry of known-good recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci import settings
from warmci.cli_common import Json, Recipe, as_json, find_canonical, group, open_store
from warmci.console import Console, print_data

if TYPE_CHECKING:
    from warmci.models import Canonical

app = group()


@app.command("list")
def list_canonicals(json: Json = False) -> None:
    """Every recipe's canonical: version, state, lineage."""
    store = open_store(settings.load())
    found = [find_canonical(store, recipe) for recipe in store.recipes()]
    if json:
        print_data(as_json([_public(canonical) for canonical in found]))
        return
    rows = [(c.recipe, c.version, c.state, " → ".join(p.version for p in c.lineage), c.snapshot) for c in found]
    Console().table("canonicals", ("recipe", "version", "state", "lineage", "snapshot"), rows)


@app.command()
def show(recipe: Recipe) -> None:
    """One canonical as JSON; of its secrets only the names."""
    print_data(as_json(_public(find_canonical(open_store(settings.load()), recipe))))


def _public(canonical: Canonical) -> dict[str, object]:
    return {**canonical.model_dump(mode="json"), "secrets": sorted(canonical.secrets)}
