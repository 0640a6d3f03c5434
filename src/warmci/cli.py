"""`warmci`: what an operator types. Parses, calls one function, renders."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warmci import exits, settings
from warmci.console import Console, print_data
from warmci.errors import InfraError, UsageError
from warmci.netns import enter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmci.canonical import CanonicalStore
    from warmci.models import Canonical
    from warmci.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)
keycloak_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
canonical_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
snapshot_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.add_typer(keycloak_app, name="keycloak", help="The live-warm Keycloak.")
app.add_typer(canonical_app, name="canonical", help="The registry of known-good recipes.")
app.add_typer(snapshot_app, name="snapshot", help="The data of canonicals.")
Json = Annotated[bool, typer.Option("--json", help="print JSON on standard output")]
Recipe = Annotated[str, typer.Argument(help="name of the recipe")]
DEMO_ROOT = Path("/var/lib/ci-warm-demo")


def _settings() -> Settings:
    """Settings, in the network namespace of the engine that they name."""
    loaded = settings.load()
    if loaded.netns is not None:
        enter(loaded.netns)
    return loaded


def _store(loaded: Settings) -> CanonicalStore:
    from warmci.canonical import CanonicalStore  # noqa: PLC0415  (--help stays quick)
    from warmci.state import open_state  # noqa: PLC0415

    return CanonicalStore(open_state(loaded.state_dir, floor_bytes=0).dir)


def _canonical(store: CanonicalStore, recipe: str) -> Canonical:
    found = store.load(recipe)
    if found is None:
        raise UsageError(f"there is no canonical of {recipe}", hint=f"run_recipe_ci.py {recipe} makes one when green")
    return found


@app.command()
def demo(
    clean: Annotated[bool, typer.Option("--clean", help="remove everything that the demo made")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="leave a private engine running, to try commands by hand")
    ] = False,
    root: Annotated[Path, typer.Option(help="directory of the demo's engine, state and recipes")] = DEMO_ROOT,
) -> None:
    """Tell WarmCI's story on a real swarm: what cold misses and quick catches."""
    from warmci import demo as story  # noqa: PLC0415

    console = Console()
    host = settings.default_docker_host()
    if clean:
        for line in story.clean(root, host, console):
            console.say(f"removed {line}")
        return
    if not story.play(root, host, console, keep=keep):
        raise typer.Exit(1)


@app.command()
def recover() -> None:
    """Clean up after killed runs; every run does this first."""
    from warmci.engine import Engine  # noqa: PLC0415
    from warmci.recover import recover as recover_runs  # noqa: PLC0415
    from warmci.state import open_state  # noqa: PLC0415

    loaded = _settings()
    state = open_state(loaded.state_dir, floor_bytes=0)
    console = Console()
    removed = recover_runs(Engine(loaded.docker_host), loaded, state.instance, _store(loaded))
    for line in removed:
        console.say(f"removed {line}")
    if not removed:
        console.say("nothing to clean up")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check what a run needs: engine, swarm, state directory, Keycloak."""
    from warmci.doctor import examine  # noqa: PLC0415

    checks = examine(_settings())
    if as_json:
        print_data(json.dumps([check.model_dump() for check in checks], indent=2))
    else:
        rows = [(check.name, check.status, check.detail, check.hint) for check in checks]
        Console().table("doctor", ("check", "status", "what was seen", "next command"), rows)
    if any(check.status == "failed" for check in checks):
        raise typer.Exit(InfraError.exit_code)


@keycloak_app.command()
def up() -> None:
    """Deploy the live-warm Keycloak, or see that it is healthy."""
    from warmci import provider  # noqa: PLC0415
    from warmci.live import bring_up  # noqa: PLC0415

    loaded, console = _settings(), Console()
    serving, started = bring_up(loaded, console)
    console.say(f"{provider.RECIPE} {serving.version} at {serving.url}, {'started' if started else 'healthy already'}")


@keycloak_app.command()
def down(yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False) -> None:
    """Remove the live-warm Keycloak with its data; runs then deploy their own."""
    from warmci.live import take_down  # noqa: PLC0415

    loaded, console = _settings(), Console()
    console.say(f"to be removed: the live Keycloak, its realms and its data in {loaded.live_dir}")
    if not yes:
        typer.confirm("remove it?", abort=True, err=True)
    for line in take_down(loaded):
        console.say(f"removed {line}")


@canonical_app.command("list")
def list_canonicals(as_json: Json = False) -> None:
    """Every recipe's canonical: version, state, lineage."""
    store = _store(settings.load())
    found = [_canonical(store, recipe) for recipe in store.recipes()]
    if as_json:
        print_data(json.dumps([_public(canonical) for canonical in found], indent=2))
        return
    rows = [(c.recipe, c.version, c.state, " → ".join(p.version for p in c.lineage), c.snapshot) for c in found]
    Console().table("canonicals", ("recipe", "version", "state", "lineage", "snapshot"), rows)


@canonical_app.command()
def show(recipe: Recipe) -> None:
    """One canonical as JSON; of its secrets only the names."""
    print_data(json.dumps(_public(_canonical(_store(settings.load()), recipe)), indent=2))


def _public(canonical: Canonical) -> dict[str, object]:
    return {**canonical.model_dump(mode="json"), "secrets": sorted(canonical.secrets)}


@snapshot_app.command()
def verify(recipe: Recipe) -> None:
    """Read every byte of a canonical's snapshot and compare it with its manifest."""
    from warmci import snapshot  # noqa: PLC0415

    loaded = settings.load()
    found = _canonical(_store(loaded), recipe)
    wrong = snapshot.verify(loaded.state_dir, recipe, found.snapshot, read_data=True)
    for line in wrong:
        print_data(line)
    if wrong:
        raise InfraError(
            f"snapshot {found.snapshot} of {recipe} differs in {len(wrong)} places",
            hint=f"run_recipe_ci.py {recipe} --reseed makes a new canonical",
        )
    Console().say(f"snapshot {found.snapshot} of {recipe} is as saved")


def main(argv: Sequence[str] | None = None) -> int:
    return exits.run_main(app, list(sys.argv[1:] if argv is None else argv))


def entry() -> None:
    sys.exit(main())
