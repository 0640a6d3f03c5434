"""`warmci`: what an operator types. Assembles the command groups; each command parses, calls one function, renders."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from warmci.base.errors import InfraError
from warmci.cli import (
    canonical,
    completion,
    demo,
    exits,
    ingress,
    kept,
    keycloak,
    locks,
    metrics,
    prune,
    realms,
    recipe,
    site,
    snapshot,
    status,
    sweep,
    trigger,
)
from warmci.cli.common import HELP_NAMES, Json, Version, as_json, load_settings
from warmci.report.console import Console, print_data

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=HELP_NAMES,
)
app.add_typer(keycloak.app, name="keycloak", help="The live-warm Keycloak.")
app.add_typer(ingress.app, name="ingress", help="The live-warm Traefik, and its CA.")
app.add_typer(realms.app, name="realms", help="The throw-away realms at the live Keycloak.")
app.add_typer(canonical.app, name="canonical", help="The registry of known-good recipes.")
app.add_typer(recipe.app, name="recipe", help="Recipes: begin one, look at one, list them.")
app.add_typer(snapshot.app, name="snapshot", help="The data of canonicals.")
app.add_typer(kept.app, name="run", help="One run: what it said, and its app while that is kept.")
app.add_typer(site.app, name="site", help="The overview of all recipes, as static pages.")
app.command()(status.status)
app.command()(sweep.sweep)
app.add_typer(demo.app, name="demo")
app.add_typer(trigger.app, name="trigger", help="What a comment or a CI's event asks for.")
app.command()(locks.locks)
app.command()(metrics.metrics)
app.command()(completion.completion)
app.command()(prune.prune)


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
