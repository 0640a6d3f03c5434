"""`warmci site build`: the static overview, written anew."""

from __future__ import annotations

from warmci.cli.common import Json, as_json, group, read_settings
from warmci.report.console import Console, print_data

app = group()


@app.callback()
def _site() -> None:
    """The overview of all recipes, as static pages."""


@app.command()
def build(json: Json = False) -> None:
    """Write the overview anew, its badges and the newest reports; every run and sweep does it, too."""
    from warmci.base.state import open_state  # noqa: PLC0415
    from warmci.operate import site  # noqa: PLC0415

    loaded = read_settings()
    open_state(loaded.state_dir, floor_bytes=0)
    index = site.build(loaded) / "index.html"
    if json:
        print_data(as_json({"index": str(index)}))
    Console().say(f"written: {index}")
