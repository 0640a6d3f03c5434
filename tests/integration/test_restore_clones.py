"""A restore where the file system clones files: everything is the canonical's, and no byte of it is read twice."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.live_volumes import World
from support.trees import plant_torture
from warmci.base import process
from warmci.base.errors import InfraError
from warmci.base.names import new_id
from warmci.base.state import open_state
from warmci.store import copying, snapshot, tree
from warmci.store.scan import marks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@contextmanager
def mounted(home: Path, kind: str) -> Iterator[Path]:
    image, target = home / "disk.img", home / "disk"
    with image.open("wb") as file:
        file.truncate(640 * 2**20)
    target.mkdir()
    process.run([f"mkfs.{kind}", "-q", str(image)], timeout_s=60)
    process.run(["mount", "-o", "loop", str(image), str(target)], timeout_s=60)
    try:
        yield target
    finally:
        process.run(["umount", str(target)], timeout_s=60)


@pytest.fixture(params=["xfs", "btrfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, request.param) as target:
        yield target


class _Read:
    """What a restore hashes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        real = tree._digest_small

        def counted(root: Path, fd: int, size: int, progress: tree.Progress | None) -> str:
            self.bytes += size
            return real(root, fd, size, progress)

        monkeypatch.setattr(tree, "_digest_small", counted)


def saved_bytes(world: World) -> int:
    manifest = snapshot.load_committed(world.state, world.canonical)
    return sum(volume.bytes for volume in manifest.summary())


def test_what_is_cloned_is_read_once(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert copying.can_clone(disk)
    world = World(disk)
    told: list[int] = []
    read = _Read(monkeypatch)
    world.restore(told.append)
    assert read.bytes == saved_bytes(world)
    assert sum(told) == 3 * saved_bytes(world)
    monkeypatch.undo()
    assert world.is_restored()
    assert world.residue() == []


def test_a_clone_keeps_everything(disk: Path) -> None:
    source, target = disk / "source", disk / "target"
    source.mkdir()
    plant_torture(source)
    with copying.copying(source, target, clone=True):
        pass
    assert tree.walk(target, read_data=True) == tree.walk(source, read_data=True)


def test_a_file_that_is_not_to_be_cloned_is_copied_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path, "btrfs") as disk:
        world = World(disk)
        told: list[int] = []
        for target in world.targets.values():
            process.run(["chattr", "+C", str(target.parent)], timeout_s=10)
        read = _Read(monkeypatch)
        world.restore(told.append)
        assert read.bytes == 2 * saved_bytes(world)
        assert 2 * saved_bytes(world) <= sum(told) <= 3 * saved_bytes(world)
        monkeypatch.undo()
        assert world.is_restored()
        assert world.residue() == []


def test_a_damaged_snapshot_is_no_less_refused(disk: Path) -> None:
    world = World(disk)
    path = saved_file(world)
    was = path.stat()
    path.write_text("c" * was.st_size)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    with pytest.raises(InfraError, match=r"snapshot .* is damaged"):
        world.restore()
    assert world.contents() == {"live"}
    assert world.residue() == []


def test_what_the_disk_lost_is_seen_though_memory_still_has_it(tmp_path: Path) -> None:
    with mounted(tmp_path, "xfs") as disk:
        world = World(disk)
        path = saved_file(world)
        good = path.read_bytes()
        os.sync()
        said = process.run(["filefrag", "-v", "-b1", str(path)], timeout_s=10).stdout
        (extent,) = [line for line in said.splitlines() if line.strip().startswith("0:")]
        block = os.open(tmp_path / "disk.img", os.O_RDWR)
        at = int(extent.split()[3].split("..")[0])
        assert os.pread(block, len(good), at) == good
        os.pwrite(block, bytes(len(good)), at)
        os.fsync(block)
        os.close(block)
        assert path.read_bytes() == good
        with pytest.raises(InfraError, match=r"snapshot .* is damaged"):
            world.restore()
        assert world.contents() == {"live"}
        assert world.residue() == []


def saved_file(world: World) -> Path:
    home = snapshot.snapshot_dir(world.state, "demo", world.canonical.snapshot)
    return next(path for path in sorted((home / "volumes").rglob("content")))


def test_a_file_system_that_does_not_clone(tmp_path: Path) -> None:
    assert not copying.can_clone(tmp_path / "nowhere")
    with mounted(tmp_path, "ext4") as disk:
        assert not copying.can_clone(disk)
        assert {path.name for path in disk.iterdir()} == {"lost+found"}


def test_a_save_reads_with_two_threads_where_cp_reads_nothing(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []

    def walk(root: Path, *, read_data: bool, threads: int) -> list[tree.Entry]:
        used.append(threads)
        return tree.walk(root, read_data=read_data, threads=threads)

    monkeypatch.setattr(snapshot, "walk", walk)
    source = disk / "source"
    source.mkdir()
    (source / "file").write_text("data", encoding="utf-8")
    for home in (disk, tmp_path):  # its own file system, and another one
        staging = snapshot.stage(open_state(home / "state", floor_bytes=0).dir, "demo", new_id())
        manifest = snapshot.save_volumes(staging, {"data": source}, {"data": marks(source)})
        assert manifest.summary()[0].bytes == 4
    assert used == [tree.THREADS, 1]
