"""Power cuts: a loop-mounted file system is copied under way, as its device holds it, and the copy is mounted.

Nothing that was not synced has reached the device: the worst case. The other extreme, everything has, is the kill.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import invariants
from campaigns import Result, done, sampled, settled
from isolation import run
from tracing import Point, kill_at, points, undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scenarios import Scenario


@dataclass(frozen=True)
class FileSystem:
    name: str
    size: str
    make: tuple[str, ...]
    options: str = "loop"


FILE_SYSTEMS = {
    system.name: system
    for system in (
        FileSystem("ext4", "160m", ("mkfs.ext4", "-q", "-F")),
        FileSystem("xfs", "320m", ("mkfs.xfs", "-q"), "loop,nouuid"),
        FileSystem("btrfs", "640m", ("mkfs.btrfs", "-q")),
    )
}
_numbers = itertools.count()


def power_cuts(scenario: Scenario, room: Path, system: FileSystem, *, most: int | None = None) -> Result:
    """The power fails at every point, and once right after the work said that it was done."""
    template = room / "template.img"
    run("truncate", "-s", system.size, str(template))
    run(*system.make, str(template))
    with _mounted(system, template, room) as mount:
        scenario.ready(mount / "world")
        was = invariants.before(mount / "world")
    counting = _copied(template, room)
    with _mounted(system, counting, room) as mount:
        places, _ = points(scenario.work, mount / "world")
    counting.unlink()
    result = Result(exist=len(places) + 1)
    for point in sampled(places, most):
        found = _cut(scenario, system, template, room, was, point)
        result.add(f"{scenario.name} on {system.name}: {point}", found)
    result.add(f"{scenario.name} on {system.name}: after the end", _cut(scenario, system, template, room, was, None))
    return result


def _cut(
    scenario: Scenario, system: FileSystem, template: Path, room: Path, was: invariants.Before, point: Point | None
) -> list[str]:
    """What is wrong after a cut at this point; without one, after the work's end (I9)."""
    running = _copied(template, room)
    with _mounted(system, running, room) as mount:
        if point:
            kill_at(scenario.work, mount / "world", point, together=point.in_tool)
        else:
            ended = undisturbed(scenario.work, mount / "world")
            assert ended.code == 0, "the undisturbed work failed"
        cut = _copied(running, room)
    running.unlink()
    try:
        with _mounted(system, cut, room) as mount:
            world = mount / "world"
            if point:
                found = invariants.violations(world, was, scenario.allowed(was))
            else:
                found = [f"I9: {line}" for line in done(scenario, world, was)]
            return found or settled(scenario, world, was)
    finally:
        cut.unlink()


def _copied(image: Path, room: Path) -> Path:
    """Each case has a file name of its own: a loop device on a name that was used before has shown stale blocks."""
    target = room / f"{next(_numbers)}.img"
    run("cp", "--sparse=always", "--", str(image), str(target))
    return target


@contextmanager
def _mounted(system: FileSystem, image: Path, room: Path) -> Iterator[Path]:
    mount = room / "disk"  # always there: a journal holds paths
    mount.mkdir()
    run("mount", "-t", system.name, "-o", system.options, "--", str(image), str(mount))
    try:
        yield mount
    finally:
        run("umount", "--", str(mount))
        mount.rmdir()
