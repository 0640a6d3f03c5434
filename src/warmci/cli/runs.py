"""`warmci run show`: one run, from its directory alone."""

from __future__ import annotations

from typing import Annotated

import typer

from warmci.cli.common import Json, as_json, group, read_settings
from warmci.report.console import Console, print_data

app = group()


@app.callback()
def _runs() -> None:
    """The runs that are kept."""


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="id of the run, as its last line and status say it")], json: Json = False
) -> None:
    """What a run said, and the files that it left: logs, health checks, tasks, the compose file and its diff."""
    from warmci.report import words  # noqa: PLC0415
    from warmci.report.history import read_result  # noqa: PLC0415

    home, result = read_result(read_settings().runs_dir, run)
    files = [str(home / name) for name in ("report.html", "junit.xml", "result.json", *result.kept)]
    there = [name for name in files if (home / name).is_file()]
    if json:
        print_data(as_json({"result": result.model_dump(mode="json"), "files": there}))
        return
    console = Console()
    console.say(words.headline(result), "bold green" if words.is_green(result) else "bold red")
    if result.summary:
        console.say(f"{result.summary}\nhint: {result.hint}" if result.hint else result.summary)
    for test in words.all_tests(result):
        if test.outcome == "failed":
            console.say(f"failed: {test.name}: {test.infrastructure or test.reason}")
    for label, value in words.facts(result).items():
        console.say(f"{label}: {value}")
    for name in there:
        console.say(name)
