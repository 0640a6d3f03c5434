"""`warmci recipe`: begin one, see what makes one untestable, list those that this host knows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from warmci.base.errors import RecipeFailedError
from warmci.cli.common import Json, Named, as_json, group, read_settings
from warmci.report.console import Console, print_data

app = group()


@app.command()
def init(name: Annotated[str, typer.Argument(help="of the new recipe, and of its directory here")]) -> None:
    """Make a recipe that is green as it is: a repository with its first release, and the operator's tests beside."""
    from warmci.recipe.starter import make_recipe  # noqa: PLC0415

    console = Console()
    repository, operator = make_recipe(name, Path.cwd(), read_settings().recipes_dir)
    console.say(f"{repository}: the recipe, with its first release")
    console.say(f"{operator}: recipe.toml and tests, the operator's")
    console.say(f"next: warmci recipe check ./{name}, and run_recipe_ci.py ./{name}")


@app.command()
def check(recipe: Named, json: Json = False) -> None:
    """What makes a recipe untestable; needs no engine. A directory is looked at as it is, committed or not.

    Exit code 1 where a run cannot be green.
    """
    from warmci.live.ingress import foreseen  # noqa: PLC0415
    from warmci.recipe.config import load_config  # noqa: PLC0415
    from warmci.recipe.named import read_named  # noqa: PLC0415
    from warmci.recipe.repository import clone  # noqa: PLC0415
    from warmci.recipe.untestable import examine  # noqa: PLC0415
    from warmci.recipe.worktree import commit_as_it_is, is_bare  # noqa: PLC0415

    settings, named, console = read_settings(), read_named(recipe), Console()
    config = load_config(settings.recipes_dir, named.recipe)
    with tempfile.TemporaryDirectory(prefix="warmci-check-") as work:
        repository = clone(settings, named.recipe, Path(work), named.source)
        head = committed = repository.resolve(repository.usual_ref())
        if named.is_local and not is_bare(Path(named.source)):
            head = commit_as_it_is(repository.path, Path(named.source), head)
        chosen = foreseen(settings)
        found = examine(settings, config, repository, head, chosen.kind, chosen.scheme(config.scheme))
        version = repository.version_of(head) if head == committed else "with what is not committed"
    if json:
        facts = {"recipe": named.recipe, "source": repository.source, "version": version}
        print_data(as_json({**facts, "findings": [finding.model_dump() for finding in found]}))
    else:
        rows = [(finding.level, finding.what, finding.says, finding.hint) for finding in found]
        columns = ("level", "what", "what was seen", "what helps")
        if rows:
            console.table(f"{named.recipe} {version}", columns, rows)
    errors = sum(finding.level == "error" for finding in found)
    if errors:
        raise RecipeFailedError(
            f"{named.recipe} cannot be green: {errors} of {len(found)} findings are errors",
            hint=f"mend them, then run_recipe_ci.py {named.word} --worktree" if named.is_local else None,
        )
    console.say(f"nothing makes {named.recipe} untestable")


@app.command("list")
def list_all(json: Json = False) -> None:
    """The recipes that this host knows: enrolled, configured, or with a canonical."""
    from warmci.operate.recipes import list_recipes  # noqa: PLC0415

    found = list_recipes(read_settings())
    if json:
        print_data(as_json({"recipes": [known.model_dump() for known in found]}))
        return
    rows = [
        (
            known.recipe,
            "yes" if known.enrolled else "no",
            "yes" if known.configured else "no",
            str(known.tests),
            known.canonical,
            known.source,
        )
        for known in found
    ]
    columns = ("recipe", "enrolled", "recipe.toml", "tests", "canonical", "of")
    Console().table("recipes", columns, rows, empty="no recipe is known yet: warmci recipe init NAME begins one")
    if not found:
        Console().say("none is known; begin one: warmci recipe init NAME")
