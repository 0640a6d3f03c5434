"""`warmci`: what an operator types. Each command (later.py lists them) parses, calls one function, renders."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from warmci.base.errors import InfraError
from warmci.cli import completion, exits
from warmci.cli.common import HELP_NAMES, Json, Version, as_json, load_settings
from warmci.cli.later import LaterGroup
from warmci.report.console import Console, print_data

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    cls=LaterGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=HELP_NAMES,
)


@app.callback()
def program(*, _version: Version = False) -> None:
    """Recipe CI for Co-op Cloud: tests pull requests on a real swarm, cold or on warm data."""


@app.command()
def recover(json: Json = False) -> None:
    """Clean up after killed runs; every run does this first."""
    from warmci.base.state import open_state  # noqa: PLC0415
    from warmci.operate.recover import recover as recover_runs  # noqa: PLC0415
    from warmci.store.canonical import CanonicalStore  # noqa: PLC0415
    from warmci.swarm.engine import Engine  # noqa: PLC0415

    loaded = load_settings()
    state = open_state(loaded.state_dir, floor_bytes=0)
    console = Console()
    removed = recover_runs(Engine(loaded.docker_host), loaded, state.instance, CanonicalStore(state.dir))
    if json:
        print_data(as_json({"removed": removed}))
    for line in removed:
        console.say(f"removed {line}")
    if not removed:
        console.say("nothing to clean up")


@app.command()
def doctor(json: Json = False) -> None:
    """Check what a run needs: engine, swarm, state directory, ingress, Keycloak, settings, recipes, forge, webhook."""
    from warmci.operate.doctor import examine  # noqa: PLC0415

    checks = examine(load_settings())
    if json:
        print_data(as_json({"checks": [check.model_dump() for check in checks]}))
    else:
        rows = [(check.name, check.status, check.detail, check.hint) for check in checks]
        Console().table("doctor", ("check", "status", "what was seen", "next command"), rows)
    if any(check.status == "failed" for check in checks):
        raise typer.Exit(InfraError.exit_code)


def main(argv: Sequence[str] | None = None) -> int:
    return exits.run_main(completion.completing(app, "warmci"), list(sys.argv[1:] if argv is None else argv))


def entry() -> None:
    sys.exit(main())


if __name__ == "__main__":
    entry()
