"""`warmci prune`: throw away what nothing needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from warmci.base.errors import InfraError
from warmci.cli.common import Json, as_json, load_settings
from warmci.report.console import Console, print_data

if TYPE_CHECKING:
    from warmci.base.disk import Room, Watermarks
    from warmci.base.settings import Settings
    from warmci.operate.prune import Done
    from warmci.operate.prune_plan import Plan
    from warmci.swarm.engine import Engine

_MIB = 2**20


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the plan and remove nothing")] = False,
    images: Annotated[bool, typer.Option("--images", help="also images that runs pulled, while there is room")] = False,
    json: Json = False,
) -> None:
    """Throw away trash, what dead runs left, snapshots that no canonical names, old runs and sweeps.

    Images that runs pulled and no canonical pins go too when the disk is below disk_high_mb, or with --images.
    """
    from warmci.base.disk import Watermarks  # noqa: PLC0415
    from warmci.operate.prune import Done, execute, plan_now, rooms  # noqa: PLC0415
    from warmci.operate.registry import open_store  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    store, engine, marks = open_store(loaded), _engine(loaded, console), Watermarks.of(loaded)
    before = rooms(loaded, engine)
    plan = plan_now(loaded, store, engine, images=images)
    if not json:
        _show(console, plan, before)
    done = Done() if dry_run else execute(plan, loaded, store, engine)
    after = rooms(loaded, engine)
    if json:
        print_data(as_json(_as_data(plan, done, before, after, dry_run=dry_run)))
    if not dry_run:
        _conclude(console, done, after, marks)


def _engine(loaded: Settings, console: Console) -> Engine | None:
    """The disk must be cleanable without an engine; only its images are then left alone."""
    from warmci.swarm.engine import Engine  # noqa: PLC0415

    try:
        return Engine(loaded.docker_host)
    except InfraError as error:
        console.say(f"warning: images are left alone: {error.message}", style="yellow")
        return None


def _show(console: Console, plan: Plan, before: list[Room]) -> None:
    rows = [(item.kind, item.recipe, item.name, f"{item.bytes / _MIB:.1f}", item.reason) for item in plan.items]
    console.table("to be removed", ("what", "recipe", "name", "MiB", "why"), rows)
    for line in plan.left:
        console.say(f"left alone: {line}", style="yellow")
    for room in before:
        console.say(str(room))


def _as_data(plan: Plan, done: Done, before: list[Room], after: list[Room], *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "plan": [item.model_dump() for item in plan.items],
        "left": list(plan.left),
        "removed": [item.name for item in done.removed],
        "stayed": done.stayed,
        "before": [room.model_dump() for room in before],
        "after": [room.model_dump() for room in after],
    }


def _conclude(console: Console, done: Done, after: list[Room], marks: Watermarks) -> None:
    for name, reason in done.stayed.items():
        console.say(f"still there: {name}: {reason}", style="yellow")
    console.say(f"removed {len(done.removed)} items, {done.freed / _MIB:.1f} MiB; {'; '.join(map(str, after))}")
    if any(marks.is_low(room) for room in after):
        raise InfraError(f"still low on disk: runs want {marks}", hint="enlarge the file system, or lower disk_low_mb")
    if done.stayed:
        raise InfraError(f"{len(done.stayed)} items are still there", hint="warmci recover, then warmci prune")
