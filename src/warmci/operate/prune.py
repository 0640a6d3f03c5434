"""Throws away what a plan names, each item only if it is still garbage; and makes room before a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base.disk import Room, Watermarks
from warmci.base.errors import BusyError, InfraError, UsageError
from warmci.base.locks import Holder, app_lock, read_holder
from warmci.base.run_locks import claimed_run
from warmci.base.state import no_space
from warmci.operate.prune_plan import Item, Plan, in_use, is_only_ours, make_plan, pinned
from warmci.store import snapshot
from warmci.swarm import pulled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from warmci.base.settings import Settings
    from warmci.store.canonical import CanonicalStore
    from warmci.swarm.engine import Engine


@dataclass
class Done:
    removed: list[Item] = field(default_factory=list)
    stayed: dict[str, str] = field(default_factory=dict)
    """Name of an item that was planned and is still there, to the reason."""

    @property
    def freed(self) -> int:
        return sum(item.bytes for item in self.removed)


def rooms(settings: Settings, engine: Engine | None) -> list[Room]:
    """Of the state directory and, where it lies elsewhere on this host, of the engine's data."""
    found = [settings.state_dir]
    root = Path(engine.data_root()) if engine is not None else None
    if root is not None and root.is_dir() and root.stat().st_dev != settings.state_dir.stat().st_dev:
        found.append(root)
    return [Room.of(path) for path in found]


def plan_now(settings: Settings, store: CanonicalStore, engine: Engine | None, *, images: bool = False) -> Plan:
    """The plan of `warmci prune` and of the sweep; images only on request, or below the high mark."""
    marks = Watermarks.of(settings)
    short = not all(marks.is_high(room) for room in rooms(settings, engine))
    return make_plan(settings, store, engine, images=images or short)


def execute(
    plan: Plan,
    settings: Settings,
    store: CanonicalStore,
    engine: Engine | None,
    *,
    enough: Callable[[], bool] = lambda: False,
) -> Done:
    """Remove the plan's items in their order until `enough`. What failed is tried once more when room was made.

    Nothing is written before something is gone, so that it works on a disk without a free byte.
    """
    done = Done()
    _pass(plan.items, settings, store, engine, done, enough)
    if done.stayed and done.removed:
        again = [item for item in plan.items if item.name in done.stayed]
        done.stayed.clear()
        _pass(again, settings, store, engine, done, enough)
    return done


def _pass(
    items: Sequence[Item],
    settings: Settings,
    store: CanonicalStore,
    engine: Engine | None,
    done: Done,
    enough: Callable[[], bool],
) -> None:
    for item in items:
        if enough():
            return
        try:
            if item.kind == "image":
                _remove_image(item, settings, store, engine)
            elif item.kind == "sweep":
                snapshot.remove(settings.state_dir / item.name)
            elif item.kind in {"run", "work"}:
                _remove_run(item, settings)
            else:
                _remove_garbage(item, settings, store)
        except (InfraError, UsageError, OSError) as error:
            done.stayed[item.name] = str(error)
        else:
            done.removed.append(item)


def _remove_garbage(item: Item, settings: Settings, store: CanonicalStore) -> None:
    path = settings.state_dir.resolve() / item.name
    holder = Holder.here("prune", item.recipe, "prune")
    try:
        with app_lock(settings.state_dir, item.recipe, holder, wait_s=0):
            if path.exists() and path not in store.garbage(item.recipe):
                raise InfraError("in use by now")
            if warnings := store.throw_away(item.recipe, [path]):
                raise InfraError(warnings[0])
    except BusyError as error:
        raise InfraError(f"somebody works on {item.recipe}") from error


def _remove_run(item: Item, settings: Settings) -> None:
    path = settings.state_dir / item.name
    home = path.parent if item.kind == "work" else path
    with claimed_run(home) as dead:
        if not dead:
            raise InfraError("alive by now")
        if item.kind == "run" and (home / "work").exists():
            raise InfraError("not cleaned up after yet", hint="warmci recover")
        snapshot.remove(path)


def _remove_image(item: Item, settings: Settings, store: CanonicalStore, engine: Engine | None) -> None:
    """Looked at again at the last moment; while any run lives it may be about to start from it."""
    if engine is None:
        raise InfraError("no engine answers")
    if any(map(read_holder, settings.locks_dir.glob("slot-*"))):
        raise InfraError("a run is under way")
    ours = next((known for known in pulled.load(settings.state_dir) if known.id == item.name), None)
    image = next((found for found in engine.images() if found["Id"] == item.name), None)
    if image is not None:
        if ours is None or item.name in pinned(store) | in_use(engine) or not is_only_ours(engine, image, ours):
            raise InfraError("in use by now")
        engine.remove_image(item.name)
    pulled.forget(settings.state_dir, item.name)


def make_room(settings: Settings, store: CanonicalStore, engine: Engine, say: Callable[[str], None]) -> None:
    """Before a run: below the low mark prune up to the high one. Raises InfraError when it is still below low."""
    marks = Watermarks.of(settings)
    before = rooms(settings, engine)
    if not any(marks.is_low(room) for room in before):
        return
    say(f"low on disk: {'; '.join(map(str, before))}; at least {marks} are wanted")
    plan = make_plan(settings, store, engine, images=True)
    done = execute(
        plan, settings, store, engine, enough=lambda: all(marks.is_high(room) for room in rooms(settings, engine))
    )
    say(f"pruned {len(done.removed)} of {len(plan.items)} items, {done.freed // 2**20} MiB")
    for room in rooms(settings, engine):
        if marks.is_low(room):
            error = no_space(f"{room}; a run wants {marks}")
            raise InfraError(error.message, hint="warmci prune, or enlarge that file system, or lower disk_low_mb")
