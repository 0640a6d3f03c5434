"""A file system that has room for so many bytes or so many files more, from none to enough."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Literal

import invariants
from campaigns import Result, settled
from isolation import run
from tracing import undisturbed

from warmci.base.errors import WarmciError
from warmci.base.state import open_state

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios import Scenario

Unit = Literal["bytes", "inodes"]
_PLENTY = {"bytes": 2**28, "inodes": 20_000}
_OPTION = {"bytes": "size", "inodes": "nr_inodes"}


def full_disk(scenario: Scenario, room: Path, unit: Unit, steps: int) -> tuple[Result, int]:
    """Every step from no room to more than enough; and in how many of them the work succeeded."""
    with_room, _ = _attempt(scenario, room, unit, _PLENTY[unit])
    assert not with_room, with_room
    need = _need(scenario, room, unit)
    result, done = Result(), 0
    for spare in sorted({math.ceil(need * step / (steps - 2)) for step in range(steps)}):  # at last more than enough
        found, code = _attempt(scenario, room, unit, spare)
        result.add(f"{scenario.name} with room for {spare} {unit}", found)
        done += code == 0
    result.exist = result.cases
    return result, done


def _used(mount: Path, unit: Unit) -> int:
    facts = os.statvfs(mount)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize if unit == "bytes" else facts.f_files - facts.f_ffree


def _need(scenario: Scenario, room: Path, unit: Unit) -> int:
    """What the work takes at most: looked up by halving."""
    low, high = 0, _PLENTY[unit]
    while high - low > (4096 if unit == "bytes" else 1):
        middle = (low + high) // 2
        _, code = _attempt(scenario, room, unit, middle)
        low, high = (low, middle) if code == 0 else (middle, high)
    return high


def _attempt(scenario: Scenario, room: Path, unit: Unit, spare: int) -> tuple[list[str], int]:
    mount = room / "small"
    mount.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "size=512m,nr_inodes=50000,mode=0700", "none", str(mount))
    try:
        world = mount / "world"
        scenario.ready(world)
        was = invariants.before(world)
        run("mount", "-o", f"remount,{_OPTION[unit]}={_used(mount, unit) + spare}", str(mount))
        ended = undisturbed(scenario.work, world)
        found = invariants.violations(world, was, scenario.allowed(was))
        found = found or invariants.unfaithful(world, was, ended.code, scenario.goal, synced=True)
        found += ended.crash.splitlines()[-5:]
        found = found or _still_full(scenario, world)
        run("mount", "-o", f"remount,{_OPTION[unit]}={_used(mount, unit) + _PLENTY[unit]}", str(mount))
        return found or settled(scenario, world, was), ended.code
    finally:
        run("umount", "--", str(mount))


def _still_full(scenario: Scenario, world: Path) -> list[str]:
    """On the disk that is full, what frees room works."""
    try:
        open_state(invariants.state_of(world), floor_bytes=0)
        scenario.recover(world)
    except (WarmciError, OSError) as error:
        return [f"I8: clean-up failed on a full disk: {error}"]
    return []
