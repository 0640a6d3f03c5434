"""Room, watermarks and sizes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.trees import plant_deep, plant_torture
from warmci.base import disk
from warmci.base.disk import Room, Size, Watermarks
from warmci.base.errors import UsageError
from warmci.base.settings import Settings, load
from warmci.store.snapshot import remove

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 2**20
MARKS = Watermarks.of(Settings(disk_low_mb=10, disk_high_mb=40, disk_low_inodes=100, disk_high_inodes=400))


def room(free_mb: float, inodes: int | None) -> Room:
    total = None if inodes is None else 10**6
    return Room(path="/s", free=int(free_mb * MIB), total=10**12, free_inodes=inodes, total_inodes=total)


@pytest.mark.parametrize(
    ("free", "inodes", "low", "high"),
    [
        (9.9, 10**6, True, False),
        (10, 10**6, False, False),
        (39.9, 10**6, False, False),
        (40, 10**6, False, True),
        (1000, 99, True, False),
        (1000, 100, False, False),
        (1000, 399, False, False),
        (1000, 400, False, True),
        (9, None, True, False),
        (40, None, False, True),
        (0, 0, True, False),
    ],
)
def test_marks(free: float, inodes: int | None, low: bool, high: bool) -> None:
    assert (MARKS.is_low(room(free, inodes)), MARKS.is_high(room(free, inodes))) == (low, high)


def test_room_is_what_the_kernel_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = os.statvfs(tmp_path)
    found = Room.of(tmp_path)
    assert found.total == seen.f_blocks * seen.f_frsize
    assert 0 < found.free <= found.total
    assert "MiB and" in str(found)
    uncounted = os.statvfs_result([*seen[:5], 0, 0, 0, *seen[8:]])
    monkeypatch.setattr(os, "statvfs", lambda _: uncounted)
    assert Room.of(tmp_path).free_inodes is None
    assert "inodes" not in str(Room.of(tmp_path))


@pytest.mark.parametrize("wrong", [{"disk_high_mb": 1}, {"disk_high_inodes": 1}, {"disk_low_mb": -1}])
def test_marks_in_the_wrong_order_are_a_usage_error(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="disk_"):
        load(**wrong)


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    return make


@pytest.mark.integration
def test_sizes(tree: Callable[[str], Path]) -> None:
    odd, deep, plain, gone = tree("new\nline \t"), tree("deep"), tree("plain"), Path("/nonexistent/x")
    plant_torture(odd)
    plant_deep(deep, 1200)
    (plain / "data").write_bytes(b"x" * 100_000)
    (plain / "link").symlink_to("/usr")
    try:
        found = disk.sizes([odd, deep, plain, gone])
    finally:
        remove(deep)  # deeper than the clean-up of temporary directories gets
    assert found[gone] == Size()
    assert found[deep].inodes == 1202
    assert found[plain].inodes == 3
    assert 100_000 <= found[plain].bytes < 200_000
    assert 400_000 <= found[odd].bytes < 2 * MIB
    assert disk.sizes([]) == {}
