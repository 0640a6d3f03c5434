"""The works that are disturbed: how the world is before, what is done to it, and what the next command does."""

from __future__ import annotations

import contextlib
import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

import invariants
from invariants import BEFORE, NONE, RECIPE, RESTORED, live_of, state_of

from support.trees import canonical_of, plant_torture
from warmci.base import fs
from warmci.base.errors import InfraError
from warmci.base.names import new_id
from warmci.base.state import disk, open_state
from warmci.operate import fsck
from warmci.operate.save import save_volumes
from warmci.store import restore, snapshot
from warmci.store.canonical import CanonicalStore
from warmci.store.scan import marks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from warmci.store.manifest import SnapshotManifest


@dataclass(frozen=True)
class Scenario:
    name: str
    prepare: Callable[[Path], None]
    work: Callable[[Path], object]
    goal: str
    """The canonical's content after it; the content before is allowed until then."""
    live_goal: str = BEFORE
    """How live volumes stand after it, where there are any."""
    stepwise: bool = False
    """It repairs one thing after the other, so an error may come when the canonical is the new one already."""
    in_place: bool = False
    """Its world cannot be copied."""
    recovery: Callable[[Path], None] | None = None
    """What every command does first: `recover` where it is None."""

    def ready(self, world: Path) -> None:
        world.mkdir()
        open_state(state_of(world), floor_bytes=0)
        self.prepare(world)

    def allowed(self, was: invariants.Before) -> set[str]:
        return {was.content, self.goal}

    def rerun(self, world: Path) -> None:
        """What a user does next: the same command; every command first collects what a dead one left."""
        self.recover(world)
        self.work(world)
        self.recover(world)

    def recover(self, world: Path) -> None:
        (self.recovery or recover)(world)


def recover(world: Path) -> None:
    """Raises InfraError for a warning too: after a clean rerun there is nothing to warn of."""
    restore.settle(state_of(world), RECIPE)
    if warnings := CanonicalStore(state_of(world)).collect_garbage(RECIPE):
        raise InfraError(f"warnings: {warnings}")


def save(world: Path, content: str) -> SnapshotManifest:
    """Two volumes as a cold run leaves them in its staging, and the snapshot of them."""
    staging = snapshot.stage(state_of(world), RECIPE, new_id())
    for volume in ("db", "files"):
        root = snapshot.make_volume(staging, volume)
        with disk("the app's own writing"):
            (root / invariants.MARK).write_text(content, encoding="utf-8")
            (root / "below").mkdir()
            (root / "below" / "more").write_text(f"{content} " * 3000, encoding="utf-8")
    return snapshot.finish(staging)


def commit(world: Path, manifest: SnapshotManifest) -> None:
    CanonicalStore(state_of(world)).commit(canonical_of(manifest))  # its warnings show as residue


def with_old(world: Path) -> None:
    commit(world, save(world, "old"))


def nothing(_world: Path) -> None:
    """The first command of a recipe."""


def replace(world: Path) -> None:
    """What a seed does: stage, finish, commit, and the removal of the snapshot before."""
    commit(world, save(world, "new"))


def advance(world: Path) -> None:
    """What an advance does: a copy of the canonical, changed, becomes the canonical."""
    state = state_of(world)
    found = CanonicalStore(state).load(RECIPE)
    if found is None:
        raise InfraError("there is no canonical to advance")
    staging = snapshot.stage(state, RECIPE, new_id())
    snapshot.copy_from(snapshot.snapshot_dir(state, RECIPE, found.snapshot), staging)
    for root in (staging / "volumes").iterdir():
        with disk("the app's own writing"):
            (root / invariants.MARK).write_text("new", encoding="utf-8")
    commit(world, snapshot.finish(staging))


def forget(world: Path) -> None:
    CanonicalStore(state_of(world)).remove(RECIPE)


def littered(world: Path) -> None:
    """As kills leave it: an unnamed snapshot, half a staging with one of everything, trash, half a file."""
    with_old(world)
    save(world, "orphan")
    state = state_of(world)
    staging = snapshot.stage(state, RECIPE, new_id())
    plant_torture(snapshot.make_volume(staging, "db"))
    trash = state / RECIPE / "trash" / new_id()
    trash.mkdir(parents=True)
    (trash / "rest").write_text("rest", encoding="utf-8")
    (state / RECIPE / ".canonical.json.1.tmp").write_text("half", encoding="utf-8")


def mark_dirty(world: Path) -> None:
    CanonicalStore(state_of(world)).mark_dirty(RECIPE, "the verify failed")


def with_live(world: Path) -> None:
    """Besides the canonical, live volumes of other data, one of them with one of everything."""
    with_old(world)
    for name in ("db", "files"):
        root = world / "live" / name / "_data"
        root.mkdir(parents=True)
        if name == "files":
            plant_torture(root)
        (root / invariants.MARK).write_text("new", encoding="utf-8")


def save_live(world: Path) -> None:
    """`warmci snapshot save`: volumes that stay where they are become the canonical."""
    store = CanonicalStore(state_of(world))
    found = store.load(RECIPE)
    if found is None:
        raise InfraError("there is no canonical to follow")
    run, sources = new_id(), live_of(world)
    entry = found.model_copy(update={"snapshot": run, "run": run})
    save_volumes(store, entry, sources, {name: marks(path) for name, path in sources.items()}, lambda: None)


def restore_live(world: Path) -> None:
    state = state_of(world)
    found = CanonicalStore(state).load(RECIPE)
    if found is None:
        raise InfraError("there is no canonical to restore")
    restore.restore_volumes(state, found, live_of(world), stack="demo")


def restore_by_renames(world: Path) -> None:
    """On a file system that cannot exchange two directories."""
    exchange = fs.exchange
    fs.exchange = lambda one, other: False
    try:
        restore_live(world)
    finally:
        fs.exchange = exchange


def restore_half_done(world: Path) -> None:
    """One volume is swapped, the other is not, and the journal says so."""
    with_live(world)
    exchange = fs.exchange
    done: list[Path] = []

    def once(one: Path, other: Path) -> bool:
        if done:
            raise OSError(errno.EIO, "the disk went away")
        done.append(one)
        return exchange(one, other)

    fs.exchange = once
    try:
        with contextlib.suppress(InfraError):
            restore_live(world)
    finally:
        fs.exchange = exchange


def unreadable(world: Path) -> None:
    """What a broken disk makes of canonical.json, and litter besides."""
    littered(world)
    path = state_of(world) / RECIPE / "canonical.json"
    path.write_bytes(path.read_bytes()[:100])


def check(world: Path) -> None:
    """`warmci canonical fsck --repair`."""
    state = state_of(world)
    problems = fsck.repair_all(CanonicalStore(state), RECIPE, lambda: restore.settle(state, RECIPE))
    if left := [problem.what for problem in problems if not problem.repaired]:
        raise InfraError(f"not repaired: {left[0]}")


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("first save", nothing, replace, "new"),
        Scenario("replace", with_old, replace, "new"),
        Scenario("advance", with_old, advance, "new"),
        Scenario("save of live volumes", with_live, save_live, "new"),
        Scenario("restore", with_live, restore_live, "old", RESTORED),
        Scenario("restore by renames", with_live, restore_by_renames, "old", RESTORED),
        Scenario("remove", with_old, forget, NONE),
        Scenario("clean-up", littered, recover, "old"),
        Scenario("fsck: unreadable canonical", unreadable, check, "old", stepwise=True, recovery=check),
        Scenario("fsck: half a restore", restore_half_done, check, "old", RESTORED, in_place=True, recovery=check),
        # Said in two files, the one that counts first: where the second fails, dirty is the safe side.
        Scenario("mark dirty", with_old, mark_dirty, "old, dirty", stepwise=True),
    )
}
