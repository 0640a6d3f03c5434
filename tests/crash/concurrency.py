"""Several processes on the same recipes, killed at random, while somebody reads without a lock."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
import traceback
from pathlib import Path

from campaigns import Result
from isolation import die_with_parent

from support.trees import canonical_of
from warmci.base.errors import BusyError, InfraError
from warmci.base.locks import Holder, app_lock
from warmci.base.names import new_id
from warmci.base.state import open_state
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore
from warmci.store.copying import copy_volumes

RECIPES = ("one", "two")
_KILL_EVERY_S = 0.15


def several(room: Path, *, seconds: float, workers: int) -> Result:
    """Cases are whole looks of the reader; violations are his, and what is wrong when all is over."""
    state = open_state(room / "state", floor_bytes=0).dir
    (room / "told").mkdir()
    for recipe in RECIPES:
        _save(state, recipe, [])
    chance = random.Random(7)
    running = [_start(state, room, number) for number in range(workers)]
    result, killed, born = Result(), 0, workers
    deadline, next_kill = time.monotonic() + seconds, time.monotonic() + 1
    while time.monotonic() < deadline:
        for recipe in RECIPES:
            result.add(recipe, _look(state, recipe))
        if time.monotonic() > next_kill:
            place = chance.randrange(workers)
            os.kill(running[place], signal.SIGKILL)
            os.waitpid(running[place], 0)
            running[place] = _start(state, room, born)
            born, killed = born + 1, killed + 1
            next_kill = time.monotonic() + _KILL_EVERY_S * (0.5 + chance.random())
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    told = sorted((room / "told").iterdir())
    result.wrong += [path.read_text(encoding="utf-8") for path in told if path.suffix == ".wrong"]
    assert killed > 3, "hardly anybody was killed"
    assert any(path.suffix == ".done" for path in told), "no work ever came to its end"
    for recipe in RECIPES:
        _save(state, recipe, [])
        result.wrong += _look(state, recipe) + _left(state, recipe)
    result.exist = result.cases
    return result


def _start(state: Path, room: Path, number: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        die_with_parent()
        _work(state, room, random.Random(number))
    except BaseException:  # noqa: BLE001  (told to the parent)
        (room / "told" / f"{number}.wrong").write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        os._exit(0)
    return 0


def _work(state: Path, room: Path, chance: random.Random) -> None:
    while True:
        recipe = chance.choice(RECIPES)
        holder = Holder.here(new_id(), recipe, "several")
        with contextlib.suppress(BusyError), app_lock(state, recipe, holder, wait_s=5) as lock:
            inside = room / f"inside-{recipe}"
            if inside.exists() and _lives(inside.read_text(encoding="utf-8")):
                raise AssertionError(f"I7: two write to {recipe} at once")
            inside.write_text(str(os.getpid()), encoding="utf-8")
            step = chance.choice((_save, _save, _advance, _verify, _mark))
            step(state, recipe, [lock.fd])
            inside.write_text("", encoding="utf-8")
            (room / "told" / f"{step.__name__}.done").touch()


def _lives(pid: str) -> bool:
    return bool(pid) and Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]


def _tidy(state: Path, recipe: str) -> CanonicalStore:
    store = CanonicalStore(state)
    if warnings := store.collect_garbage(recipe):
        raise InfraError(f"warnings: {warnings}")
    return store


def _save(state: Path, recipe: str, _fds: list[int]) -> None:
    store = _tidy(state, recipe)
    staging = snapshot.stage(state, recipe, new_id())
    for volume in ("db", "files"):
        root = snapshot.make_volume(staging, volume)
        for number in range(20):
            (root / f"f{number}").write_text(staging.name * 100, encoding="utf-8")
    store.commit(canonical_of(snapshot.finish(staging)))


def _advance(state: Path, recipe: str, fds: list[int]) -> None:
    store = _tidy(state, recipe)
    found = store.load(recipe)
    assert found, f"I2: {recipe} has no canonical"
    staging = snapshot.stage(state, recipe, new_id())
    source = snapshot.snapshot_dir(state, recipe, found.snapshot) / "volumes"
    copy_volumes(source, staging / "volumes", ["db", "files"], pass_fds=fds)
    store.commit(canonical_of(snapshot.finish(staging)))


def _verify(state: Path, recipe: str, _fds: list[int]) -> None:
    found = CanonicalStore(state).load(recipe)
    assert found, f"I2: {recipe} has no canonical"
    assert snapshot.verify(state, recipe, found.snapshot) == []


def _mark(state: Path, recipe: str, _fds: list[int]) -> None:
    CanonicalStore(state).mark_dirty(recipe, "somebody said so")


def _look(state: Path, recipe: str) -> list[str]:
    """A reader holds no lock: what it finds wrong counts only if canonical.json is still the one that it read."""
    store = CanonicalStore(state)
    while True:
        found = store.load(recipe)
        if found is None:
            return [f"I2: {recipe} has no canonical"]
        try:
            wrong = snapshot.verify(state, recipe, found.snapshot)
        except InfraError as error:
            wrong = [error.message]
        now = store.load(recipe)
        if not wrong or (now and now.snapshot == found.snapshot):
            return [f"I1: {recipe}: {line}" for line in wrong]


def _left(state: Path, recipe: str) -> list[str]:
    home = state / recipe
    found = CanonicalStore(state).load(recipe)
    assert found
    left = [path for part in ("staging", "trash") for path in (home / part).iterdir()]
    left += [path for path in (home / "snapshots").iterdir() if path.name != found.snapshot]
    left += home.rglob(".*.tmp")
    return [f"I8: residue: {path}" for path in left]
