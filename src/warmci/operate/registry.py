"""What an operator does to the registry of canonicals, each under the recipe's lock: verify, repair, remove."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from warmci.base import names
from warmci.base.errors import InfraError, UsageError
from warmci.base.locks import Holder, app_lock
from warmci.base.models import Record
from warmci.base.state import open_state
from warmci.operate import fsck
from warmci.store import recipe_lock, snapshot
from warmci.store.canonical import CanonicalStore
from warmci.store.inventory import SnapshotInfo, describe_snapshot, list_snapshots
from warmci.store.recipe_lock import claimed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from warmci.base.locks import Lock
    from warmci.base.models import Canonical
    from warmci.base.settings import Settings
    from warmci.operate.fsck import Problem
    from warmci.report.console import Console


def require_home(store: CanonicalStore, recipe: str) -> str:
    """The recipe, of which there is something on disk. Raises UsageError otherwise: a mistyped name is not in order."""
    if names.recipe_name(recipe) not in store.homes():
        raise UsageError(f"nothing is known of a recipe {recipe}", hint="warmci recipe list")
    return recipe


class Verified(Record):
    """What a look at a canonical's snapshot found."""

    recipe: str
    snapshot: str
    read_data: bool
    wrong: tuple[str, ...]


class RemovalPlan(Record):
    """What a removal will throw away."""

    recipe: str
    canonical: str = ""
    """What is known of the canonical that goes; empty when it stays."""
    snapshots: tuple[SnapshotInfo, ...]


def open_store(settings: Settings) -> CanonicalStore:
    """The registry; works on a full disk."""
    return CanonicalStore(open_state(settings.state_dir, floor_bytes=0).dir)


def find_canonical(store: CanonicalStore, recipe: str) -> Canonical:
    found = store.load(recipe)
    if found is None:
        raise UsageError(f"there is no canonical of {recipe}", hint=f"warmci canonical seed {recipe}")
    return found


def verify_canonical(settings: Settings, console: Console, recipe: str, *, read_data: bool) -> Verified:
    """Compare the canonical's snapshot with its manifest; one that differs makes the canonical dirty.

    Runs meanwhile go on: the lock is taken only to mark. A canonical that was replaced meanwhile is looked at anew.
    """
    store = open_store(settings)
    while True:
        canonical = find_canonical(store, recipe)
        with console.working(f"verifying snapshot {canonical.snapshot}"):
            wrong = tuple(store.damage(canonical, read_data=read_data))
        found = Verified(recipe=recipe, snapshot=canonical.snapshot, read_data=read_data, wrong=wrong)
        if not wrong:
            return found
        holder = Holder.here(names.new_id(), recipe, "snapshot verify")
        wait_s, on_wait = settings.lock_wait_s, partial(_say_waiting, console)
        with app_lock(settings.state_dir, recipe, holder, wait_s=wait_s, on_wait=on_wait):
            if find_canonical(store, recipe).snapshot == canonical.snapshot:
                store.mark_dirty(recipe, f"verify found {len(wrong)} differences: {wrong[0]}")
                return found


def check_registry(
    settings: Settings, console: Console, recipes: list[str], *, read_data: bool, dry_run: bool
) -> list[Problem]:
    """Find what is wrong with these recipes, all where none is named, and, without dry_run, repair it."""
    store = open_store(settings)
    found = fsck.strange(store) if not recipes else []
    for recipe in recipes or store.homes():
        if dry_run:
            found += fsck.examine(store, recipe, read_data=read_data)
            continue
        holder = Holder.here(names.new_id(), recipe, "canonical fsck")
        wait_s, on_wait = settings.lock_wait_s, partial(_say_waiting, console)
        with app_lock(settings.state_dir, recipe, holder, wait_s=wait_s, on_wait=on_wait) as lock:
            lock.set_phase("repair")
            console.progress(f"looking at {recipe}")
            found += fsck.repair_all(store, recipe, partial(recipe_lock.settle, settings, recipe), read_data=read_data)
    return found


def remove_canonical(
    settings: Settings, console: Console, recipe: str, agree: Callable[[RemovalPlan], bool]
) -> RemovalPlan | None:
    """Forget a canonical and throw away its data; None when agree says no. The way out of an unreadable one, too."""
    store = open_store(settings)
    with _held(settings, console, recipe, "canonical remove"):
        try:
            canonical = find_canonical(store, recipe)
            what = f"{canonical.version}, {canonical.state}"
            doomed = [canonical.snapshot]
        except InfraError as error:
            what, doomed = f"unreadable: {error.message}", store.snapshots(recipe)
        there = [info for info in list_snapshots(store, recipe) if info.id in doomed]
        plan = RemovalPlan(recipe=recipe, canonical=what, snapshots=tuple(there))
        if not agree(plan):
            return None
        _say_warnings(console, store.remove(recipe))
        return plan


def remove_snapshot(
    settings: Settings, console: Console, recipe: str, snapshot_id: str, agree: Callable[[RemovalPlan], bool]
) -> RemovalPlan | None:
    """Throw away a snapshot that no canonical is on; None when agree says no."""
    store = open_store(settings)
    with _held(settings, console, recipe, "snapshot remove"):
        info = describe_snapshot(store, recipe, snapshot_id)
        if info.canonical is None:
            raise InfraError(
                f"the canonical of {recipe} is not readable, so nobody knows whether it is on {snapshot_id}",
                hint=f"warmci canonical fsck {recipe}",
            )
        if info.canonical:
            raise UsageError(
                f"snapshot {snapshot_id} is that of the canonical", hint=f"warmci canonical remove {recipe}"
            )
        plan = RemovalPlan(recipe=recipe, snapshots=(info,))
        if not agree(plan):
            return None
        snapshot.discard(store.dir, recipe, snapshot_id)
        return plan


def _held(settings: Settings, console: Console, recipe: str, command: str) -> AbstractContextManager[Lock]:
    holder = Holder.here(names.new_id(), recipe, command)
    return claimed(settings, recipe, holder, wait_s=settings.lock_wait_s, say=console.say)


def _say_waiting(console: Console, other: Holder | None) -> None:
    console.say(f"waiting for {other or 'a lock'}", style="yellow")


def _say_warnings(console: Console, warnings: list[str]) -> None:
    for warning in warnings:
        console.say(f"warning: {warning}", style="yellow")
