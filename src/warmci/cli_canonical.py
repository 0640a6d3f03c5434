"""`warmci canonical`: the registry of known-good recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from warmci import settings
from warmci.cli_common import Json, Recipe, as_json, find_canonical, group, load_settings, open_store
from warmci.console import Console, print_data
from warmci.models import Mode, Verdict

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


@app.command()
def drill(recipe: Recipe, json: Json = False) -> None:
    """Boot a canonical from its snapshot as it is, run its tests on its data, and roll back: can it be gone back to?"""
    from warmci.context import Request  # noqa: PLC0415
    from warmci.run import run_recipe  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    found = find_canonical(open_store(loaded), recipe)
    result = run_recipe(loaded, console, Request(recipe, Mode.DRILL, found.commit))
    if json:
        print_data(result.model_dump_json(indent=2))
    if result.verdict is not Verdict.PASS:
        console.error(result.summary, result.hint or f"see {loaded.runs_dir / result.run / 'result.json'}")
    console.say(f"{result.verdict.upper()} drill of {recipe} {found.version} in {result.seconds:.1f} s")
    raise typer.Exit(result.exit_code)
