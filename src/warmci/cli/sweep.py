"""`warmci sweep`: what the timer calls at night."""

from __future__ import annotations

from typing import Annotated

import typer

from warmci.cli.common import Json, load_settings
from warmci.report.console import Console, print_data


def sweep(
    max_tests: Annotated[
        int | None, typer.Option(min=1, max=64, help="runs at once, fewer than the setting max_tests")
    ] = None,
    shard: Annotated[
        bool, typer.Option("--shard", help="only this node's share, where the swarm's workers share a night")
    ] = False,
    json: Json = False,
) -> None:
    """Run every enrolled recipe cold, at most MAX_TESTS at once; go on where a stopped sweep ended.

    Exit codes: 0 green · 1 a recipe is red · 3 infrastructure · 6 nothing was swept or promoted · 75 another one runs.
    """
    from warmci.report.sweep_record import sweep_dir  # noqa: PLC0415
    from warmci.sweep.night import run_sweep  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    if max_tests is not None:
        # Never more than the setting: CI jobs count the same slots by it.
        loaded = loaded.model_copy(update={"max_tests": min(max_tests, loaded.max_tests)})
    done = run_sweep(loaded, console, sharded=shard)
    if json:
        print_data(done.model_dump_json(indent=2))
    style = "bold red" if done.exit_code else "bold green"
    report = sweep_dir(loaded.state_dir, done.id) / "report.html"
    console.say(f"sweep {done.id}: {done.verdict}: {report}", style)
    raise typer.Exit(done.exit_code or 0)
