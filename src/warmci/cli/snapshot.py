"""`warmci snapshot`: the data of canonicals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warmci.base.errors import InfraError, UsageError
from warmci.cli.common import (
    DryRun,
    Json,
    Recipe,
    Yes,
    agreed,
    as_json,
    group,
    load_settings,
    read_settings,
    say_notes,
)
from warmci.report.console import Console, print_data, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmci.base.models import VolumeSummary
    from warmci.operate.restore_app import RestorePlan
    from warmci.operate.save import SavePlan
    from warmci.store.inventory import SnapshotInfo

app = group()
Stack = Annotated[str, typer.Option(help="stack of the app; default: that of its domain")]
Id = Annotated[str, typer.Argument(help="id of a snapshot; default: the canonical's")]
One = Annotated[str, typer.Argument(help="name of a recipe; default: all")]
Secrets = Annotated[Path | None, typer.Option(help="TOML file, 0600, of the secrets that the data depends on")]
To = Annotated[Path | None, typer.Option(help="copy it into this new directory instead")]
ReadData = Annotated[bool, typer.Option("--read-data", help="read every byte, not only sizes and times")]


@app.command("list")
def list_all(recipe: One = "", json: Json = False) -> None:
    """Snapshots on disk, and which of them a canonical is on."""
    from warmci.operate.registry import open_store, require_home  # noqa: PLC0415
    from warmci.store.inventory import list_snapshots  # noqa: PLC0415

    store = open_store(read_settings())
    found = [
        info
        for name in ([require_home(store, recipe)] if recipe else store.homes())
        for info in list_snapshots(store, name)
    ]
    if json:
        print_data(as_json({"snapshots": [_with_totals(info) for info in found]}))
        return
    rows = [
        (info.recipe, info.id, _word(info.canonical), str(info.files), size(info.bytes), info.problem) for info in found
    ]
    columns = ("recipe", "id", "canonical", "files", "size", "problem")
    Console().table("snapshots", columns, rows, empty="there is no snapshot: warmci canonical seed RECIPE makes one")


@app.command()
def show(recipe: Recipe, id: Id = "", json: Json = False) -> None:  # noqa: A002  (the option's own name)
    """One snapshot: its volumes, its files and bytes, its hash, its place."""
    from warmci.operate.registry import find_canonical, open_store  # noqa: PLC0415
    from warmci.store.inventory import describe_snapshot  # noqa: PLC0415

    store = open_store(read_settings())
    info = describe_snapshot(store, recipe, id or find_canonical(store, recipe).snapshot)
    if json:
        print_data(as_json(_with_totals(info)))
        return
    console = Console()
    console.say(f"snapshot {info.id} of {recipe}, canonical: {_word(info.canonical)}, created {info.created:%F %T} UTC")
    console.say(f"manifest {info.manifest_sha256}, at {info.path}")
    _say_volumes(console, info.volumes)
    if info.problem:
        raise InfraError(info.problem, hint=f"warmci canonical fsck {recipe}")


@app.command()
def save(
    recipe: Recipe,
    ref: Annotated[str, typer.Option(help="release, branch or commit that the app was deployed at")] = "",
    domain: Annotated[str, typer.Option(help="domain that the app was deployed at")] = "",
    stack: Stack = "",
    secrets: Secrets = None,
    force: Annotated[bool, typer.Option("--force", help="also what is empty, or has lost most of its data")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Make the data of an app that was deployed by hand, and undeployed, the canonical."""
    from warmci.operate.deployed_app import SaveRequest, read_secrets  # noqa: PLC0415
    from warmci.operate.save import save_app  # noqa: PLC0415

    loaded = load_settings()
    known = read_secrets(secrets) if secrets else {}
    console = Console()
    console.redact.add(*known.values())

    def agree(plan: SavePlan) -> bool:
        if json and dry_run:
            print_data(as_json(plan.model_dump(mode="json")))
            return False
        console.say(f"save {plan.stack} as the canonical of {plan.recipe} {plan.version} at {plan.domain}")
        _say_volumes(console, plan.volumes)
        say_notes(console, plan.notes)
        if dry_run or not plan.replaces:
            return not dry_run
        return agreed(f"Replace snapshot {plan.replaces}?", yes=yes)

    made = save_app(loaded, console, SaveRequest(recipe, ref, domain, stack, known, force), agree)
    if made is None:
        return
    console.say(f"saved: canonical of {recipe} is {made.version}, snapshot {made.snapshot}")
    console.say(f"runs at {made.domain} refuse while the app's own volumes are there; docker volume rm them one day")
    if json:
        print_data(as_json({**made.model_dump(mode="json"), "secrets": sorted(made.secrets)}))


@app.command()
def restore(
    recipe: Recipe,
    stack: Stack = "",
    to: To = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put a canonical's data into the volumes of its undeployed stack; what they held is thrown away."""
    from warmci.operate.restore_app import restore_app, restore_to  # noqa: PLC0415

    loaded = load_settings()
    console = Console()
    if to is not None:
        if dry_run or stack:
            raise UsageError("--to goes with neither --dry-run nor --stack", hint="it only makes a directory")
        found = restore_to(loaded, console, recipe, to.absolute())
        console.say(f"snapshot {found.snapshot} of {recipe} is in {to}; when you are done: rm -r {to}")
        if json:
            print_data(as_json({"recipe": recipe, "snapshot": found.snapshot, "directory": str(to.absolute())}))
        return

    def agree(plan: RestorePlan) -> bool:
        if json and dry_run:
            print_data(as_json(plan.model_dump(mode="json")))
            return False
        console.say(f"restore {plan.recipe} {plan.version}, snapshot {plan.snapshot}, into {plan.stack}")
        _say_volumes(console, plan.volumes)
        say_notes(console, [*(f"volume {name} will be made" for name in plan.made), *plan.notes])
        return not dry_run and agreed(f"Throw away what the volumes of {plan.stack} hold now?", yes=yes)

    done = restore_app(loaded, console, recipe, stack, agree)
    if done is None:
        return
    console.say(f"restored: {done.stack} has snapshot {done.snapshot}; deploy {recipe} {done.version}")
    if json:
        print_data(as_json(done.model_dump(mode="json")))


@app.command()
def verify(recipe: Recipe, read_data: ReadData = False, json: Json = False) -> None:
    """Compare a canonical's snapshot with its manifest; one that differs makes the canonical dirty."""
    from warmci.operate.registry import verify_canonical  # noqa: PLC0415

    console = Console()
    found = verify_canonical(read_settings(), console, recipe, read_data=read_data)
    if json:
        print_data(as_json(found.model_dump(mode="json")))
    else:
        for line in found.wrong:
            print_data(line)
    if found.wrong:
        raise InfraError(
            f"snapshot {found.snapshot} of {recipe} differs in {len(found.wrong)} places; the canonical is dirty now",
            hint=f"warmci canonical seed {recipe}",
        )
    how = "byte for byte" if read_data else "by sizes and times; --read-data reads every byte"
    console.say(f"snapshot {found.snapshot} of {recipe} is as saved ({how})")


@app.command()
def remove(
    recipe: Recipe,
    id: Annotated[str, typer.Argument(help="id of the snapshot")],  # noqa: A002
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Throw away a snapshot that no canonical is on."""
    from warmci.operate.registry import RemovalPlan, remove_snapshot  # noqa: PLC0415

    console = Console()

    def agree(plan: RemovalPlan) -> bool:
        for info in plan.snapshots:
            console.say(f"remove snapshot {info.id} of {recipe}: {info.files} files, {size(info.bytes)}")
        if json and dry_run:
            print_data(as_json(plan.model_dump(mode="json")))
        return not dry_run and agreed("Remove it?", yes=yes)

    done = remove_snapshot(load_settings(), console, recipe, id, agree)
    if done is None:
        return
    if json:
        print_data(as_json(done.model_dump(mode="json")))
    console.say(f"removed snapshot {id} of {recipe}")


def _with_totals(info: SnapshotInfo) -> dict[str, object]:
    return {**info.model_dump(mode="json"), "files": info.files, "bytes": info.bytes}


def _word(canonical: bool | None) -> str:
    return {True: "yes", False: "no", None: "unknown"}[canonical]


def _say_volumes(console: Console, volumes: Sequence[VolumeSummary]) -> None:
    for volume in volumes:
        console.say(f"  volume {volume.name}: {volume.files} files, {size(volume.bytes)}")
