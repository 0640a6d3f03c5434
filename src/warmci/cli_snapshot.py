"""`warmci snapshot`: the data of canonicals."""

from __future__ import annotations

from warmci.cli_common import Recipe, find_canonical, group, open_store, read_settings
from warmci.console import Console, print_data
from warmci.errors import InfraError

app = group()


@app.command()
def verify(recipe: Recipe) -> None:
    """Read every byte of a canonical's snapshot and compare it with its manifest."""
    from warmci import snapshot  # noqa: PLC0415

    loaded = read_settings()
    found = find_canonical(open_store(loaded), recipe)
    wrong = snapshot.verify(loaded.state_dir, recipe, found.snapshot, read_data=True)
    for line in wrong:
        print_data(line)
    if wrong:
        raise InfraError(
            f"snapshot {found.snapshot} of {recipe} differs in {len(wrong)} places",
            hint=f"run_recipe_ci.py {recipe} --reseed makes a new canonical",
        )
    Console().say(f"snapshot {found.snapshot} of {recipe} is as saved")
