"""How much room a file system has, in bytes and inodes, and the two marks between which pruning goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from warmci.base import process
from warmci.base.models import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from warmci.base.settings import Settings

_MEASURE_TIMEOUT_S = 300.0
_AT_ONCE = 500
_MIB = 2**20


class Room(Record):
    """What is free for us; inodes are None where the file system does not count them (btrfs)."""

    path: str
    free: int
    total: int
    free_inodes: int | None
    total_inodes: int | None

    @classmethod
    def of(cls, path: Path) -> Self:
        seen = os.statvfs(path)
        counted = seen.f_files > 0
        return cls(
            path=str(path),
            free=seen.f_bavail * seen.f_frsize,
            total=seen.f_blocks * seen.f_frsize,
            free_inodes=seen.f_favail if counted else None,
            total_inodes=seen.f_files if counted else None,
        )

    def __str__(self) -> str:
        inodes = "" if self.free_inodes is None else f" and {self.free_inodes} inodes"
        return f"{self.path} has {self.free // _MIB} MiB{inodes} free"


class Watermarks(Record):
    """Below low a run prunes; it goes on until high, so that the next run need not begin again."""

    low: int
    high: int
    low_inodes: int
    high_inodes: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            low=settings.disk_low_mb * _MIB,
            high=settings.disk_high_mb * _MIB,
            low_inodes=settings.disk_low_inodes,
            high_inodes=settings.disk_high_inodes,
        )

    def is_low(self, room: Room) -> bool:
        return room.free < self.low or (room.free_inodes is not None and room.free_inodes < self.low_inodes)

    def is_high(self, room: Room) -> bool:
        return room.free >= self.high and (room.free_inodes is None or room.free_inodes >= self.high_inodes)

    def __str__(self) -> str:
        return f"{self.low // _MIB} MiB and {self.low_inodes} inodes"


class Size(Record):
    bytes: int = 0
    inodes: int = 0


def sizes(paths: Sequence[Path]) -> dict[Path, Size]:
    """What each tree takes on disk, as du(1) counts it; what vanishes meanwhile counts nothing."""
    used = _du(paths, "--block-size=1")
    inodes = _du(paths, "--inodes")
    return {path: Size(bytes=used.get(str(path), 0), inodes=inodes.get(str(path), 0)) for path in paths}


def _du(paths: Sequence[Path], unit: str) -> dict[str, int]:
    found = {}
    for start in range(0, len(paths), _AT_ONCE):
        argv = ["du", "--summarize", "--one-file-system", "--null", unit, "--"]
        argv += [str(path) for path in paths[start : start + _AT_ONCE]]
        said = process.run(argv, timeout_s=_MEASURE_TIMEOUT_S, check=False).stdout
        for line in said.split("\0")[:-1]:
            count, _, path = line.partition("\t")
            found[path] = int(count)
    return found
