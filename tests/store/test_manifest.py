from __future__ import annotations

import errno
import hashlib
import os
import threading
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.trees import ODD_NAMES, plant_deep, plant_torture, save
from warmci.base import process
from warmci.base.errors import InfraError
from warmci.base.names import new_id
from warmci.store.manifest import SnapshotManifest, compare, load_manifest, new_manifest
from warmci.store.scan import betrayed, marks, quoted, unchangeable
from warmci.store.snapshot import remove
from warmci.store.tree import Entry, walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NUMBERS = st.integers(0, 2**32 - 1)
TEXTS = st.binary(max_size=40).map(lambda raw: quoted(os.fsdecode(raw)))
ENTRIES = st.builds(
    Entry,
    path=TEXTS,
    type=st.sampled_from("dflpscb"),
    mode=st.integers(0, 0o7777),
    uid=NUMBERS,
    gid=NUMBERS,
    size=st.integers(0, 2**63 - 1),
    mtime_ns=st.integers(-(2**63), 2**63 - 1),
    rdev=NUMBERS,
    group=NUMBERS,
    xattrs=st.dictionaries(TEXTS, st.binary(max_size=9).map(bytes.hex), max_size=3),
    target=TEXTS,
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
)


def entries_of(root: Path, *, read_data: bool = True) -> dict[str, Entry]:
    return {entry.path: entry for entry in walk(root, read_data=read_data)}


def volume(tmp_path: Path) -> Path:
    root = tmp_path / "volumes" / "data"
    root.mkdir(parents=True)
    return root


def manifest_of(root: Path) -> SnapshotManifest:
    return new_manifest("demo", new_id(), {root.name: tuple(walk(root, read_data=True))})


@given(volumes=st.dictionaries(st.sampled_from(["a", "b-c", "D.e"]), st.lists(ENTRIES, max_size=4).map(tuple)))
def test_every_manifest_reads_back_as_written(volumes: dict[str, tuple[Entry, ...]]) -> None:
    manifest = new_manifest("demo", new_id(), volumes)
    back = SnapshotManifest.model_validate_json(manifest.text())
    assert back == manifest
    assert back.text() == manifest.text()


@given(name=st.binary(min_size=1, max_size=255))
def test_names_of_any_bytes_are_kept(name: bytes) -> None:
    text = quoted(os.fsdecode(name))
    assert unquote_to_bytes(text) == name
    assert text.isascii()
    assert text.isprintable()


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    manifest = save(tmp_path)
    path = tmp_path / "demo" / "snapshots" / manifest.id / "manifest.json"
    assert load_manifest(path) == manifest
    assert hashlib.sha256(path.read_bytes()).hexdigest() == manifest.sha256
    assert [(item.name, item.files) for item in manifest.summary()] == [("db", 3), ("files", 3)]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "\0" * 40, '{"schema_version":2}', '{"schema_version":1,"surprise":1}', "null"]
)
def test_an_unreadable_manifest_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InfraError, match=r"manifest\.json") as caught:
        load_manifest(tmp_path / "manifest.json")
    assert "--reseed" in str(caught.value.hint)


def test_a_missing_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="No such file"):
        load_manifest(tmp_path / "manifest.json")


def test_everything_of_a_tree_is_seen(tmp_path: Path) -> None:
    root = volume(tmp_path)
    plant_torture(root)
    seen = entries_of(root)
    assert seen["."][1:5] == ("d", 0o1711, 70, 71)
    assert seen["."].mtime_ns == 1_000_000_000_000_000_007
    assert seen["file"][1:7] == ("f", 0o4755, 999, 1001, 4, 1_234_567_890_123_456_789)
    assert seen["file"].sha256 == hashlib.sha256(b"data").hexdigest()
    assert seen["big"].sha256 == hashlib.sha256(b"b" * 400_000).hexdigest()
    assert seen["file"].xattrs == {"user.note": "00ff"}
    assert seen["file"].group == seen["hardlink"].group == seen["dir/other name"].group == 1
    assert (seen["link"].type, seen["link"].target, seen["link"].uid) == ("l", "/etc/passwd", 5)
    assert [seen[name].type for name in ("fifo", "socket", "null", "disk")] == ["p", "s", "c", "b"]
    assert seen["null"].rdev == os.makedev(1, 3)
    assert {unquote_to_bytes(path) for path in seen} >= set(ODD_NAMES)


def test_links_from_outside_make_no_group(tmp_path: Path) -> None:
    root = volume(tmp_path)
    (root / "inside").write_text("x")
    os.link(root / "inside", tmp_path / "outside")
    assert entries_of(root)["inside"].group == 0


def test_a_fifo_without_a_writer_does_not_block(tmp_path: Path) -> None:
    root = volume(tmp_path)
    os.mkfifo(root / "fifo")
    thread = threading.Thread(target=walk, args=(root,), kwargs={"read_data": True}, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_depth_has_no_limit(tmp_path: Path) -> None:
    root = volume(tmp_path)
    plant_deep(root, 3000)
    try:
        assert len(walk(root, read_data=True)) == 3002
    finally:
        remove(tmp_path / "volumes")
    assert not (tmp_path / "volumes").exists()


def test_a_link_as_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "volume").symlink_to("real")
    with pytest.raises(InfraError, match="reading"):
        walk(tmp_path / "volume", read_data=True)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "data": (lambda root: (root / "file").write_text("ATAD"), "file: sha256"),
    "size": (lambda root: (root / "file").write_text("longer"), "file: size is 6, was 4"),
    "mode": (lambda root: (root / "dir").chmod(0o711), "dir: mode is 0711, was 0700"),
    "owner": (lambda root: os.chown(root / "dir", 1, 0), "dir: uid is 1, was 0"),
    "group": (lambda root: os.lchown(root / "link", 5, 7), "link: gid is 7, was 6"),
    "root": (lambda root: root.chmod(0o755), r"\.: mode is 0755, was 1711"),
    "time": (lambda root: os.utime(root / "null", ns=(5, 5)), "null: mtime_ns is 5"),
    "link time": (lambda root: os.utime(root / "link", ns=(5, 5), follow_symlinks=False), "link: mtime_ns is 5"),
    "xattr": (lambda root: os.setxattr(root / "dir", "user.new", b"1"), "dir: xattrs"),
    "xattr gone": (lambda root: os.removexattr(root / "file", "user.note"), "file: xattrs"),
    "gone": (lambda root: (root / "fifo").unlink(), "fifo is missing"),
    "new": (lambda root: (root / "new").write_text(""), "new is not in the manifest"),
    "link broken": (lambda root: _unlink_copy(root / "hardlink"), "hardlink: group is 0, was 1"),
    "target": (lambda root: _retarget(root / "link"), "link: target is /etc/shadow, was /etc/passwd"),
    "type": (lambda root: _retarget(root / "fifo"), "fifo: type is l, was p"),
}


def _unlink_copy(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


def _retarget(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/shadow")


@pytest.mark.parametrize("case", CHANGES)
def test_each_change_is_found(tmp_path: Path, case: str) -> None:
    root = volume(tmp_path)
    plant_torture(root)
    manifest = manifest_of(root)
    assert compare(manifest, root.parent, read_data=True) == []
    assert compare(manifest, root.parent, read_data=False) == []
    change, expected = CHANGES[case]
    change(root)
    found = compare(manifest, root.parent, read_data=True)
    assert any(line.startswith("data: ") for line in found)
    assert any(_matches(line, expected) for line in found), found


def _matches(line: str, expected: str) -> bool:
    return line.removeprefix("data: ").startswith(expected.replace("\\", ""))


def test_data_changed_behind_an_equal_time_needs_reading(tmp_path: Path) -> None:
    root = volume(tmp_path)
    (root / "file").write_text("data")
    manifest = manifest_of(root)
    before = (root / "file").stat().st_mtime_ns
    (root / "file").write_text("ATAD")
    os.utime(root / "file", ns=(before, before))
    assert compare(manifest, root.parent, read_data=False) == []
    assert len(compare(manifest, root.parent, read_data=True)) == 1


def test_volumes_missing_or_strange_are_named(tmp_path: Path) -> None:
    root = volume(tmp_path)
    manifest = manifest_of(root)
    root.rename(root.with_name("other"))
    assert compare(manifest, root.parent, read_data=True) == [
        "data: volume is missing",
        "other: volume is not in the manifest",
    ]


@pytest.mark.integration
def test_a_mount_inside_is_refused(tmp_path: Path) -> None:
    root = volume(tmp_path)
    (root / "mnt").mkdir()
    process.run(["mount", "-t", "tmpfs", "none", str(root / "mnt")], timeout_s=10)
    try:
        with pytest.raises(InfraError, match="another file system"):
            walk(root, read_data=False)
    finally:
        process.run(["umount", str(root / "mnt")], timeout_s=10)


@pytest.mark.parametrize("case", CHANGES)
def test_marks_betray_every_change(tmp_path: Path, case: str) -> None:
    root = volume(tmp_path)
    plant_torture(root)
    before = marks(root)
    assert marks(root) == before
    assert len(before) == len(walk(root, read_data=False))
    CHANGES[case][0](root)
    assert betrayed(before, marks(root))


def test_allocation_is_no_writer(tmp_path: Path) -> None:
    """ext4 counts an extent's own block when it writes the data out, xfs takes back what it had set aside."""
    root = volume(tmp_path)
    (root / "file").write_text("data")
    now = marks(root)
    before = {path: mark._replace(blocks=mark.blocks + 2) for path, mark in now.items()}
    assert betrayed(before, now) == []
    assert betrayed({**before, "gone": before["."]}, now) == ["gone"]
    assert betrayed(before, {**now, "new": now["."]}) == ["new"]


def test_marks_betray_a_writer_that_sets_the_time_back(tmp_path: Path) -> None:
    root = volume(tmp_path)
    (root / "file").write_text("data")
    before = marks(root)
    (root / "file").write_text("ATAD")
    os.utime(root / "file", ns=(before["file"].mtime_ns, before["file"].mtime_ns))
    assert betrayed(before, marks(root)) == ["file"]


@pytest.mark.integration
@pytest.mark.parametrize("flag", ["i", "a"])
def test_what_cannot_be_changed_is_found(tmp_path: Path, flag: str) -> None:
    root = volume(tmp_path)
    (root / "directory").mkdir()
    (root / "directory" / "fixed").write_text("fixed")
    (root / "link").symlink_to("directory/fixed")
    os.mkfifo(root / "fifo")
    assert unchangeable(root) is None
    process.run(["chattr", f"+{flag}", str(root / "directory" / "fixed")], timeout_s=10)
    try:
        assert unchangeable(root) == "directory/fixed"
    finally:
        process.run(["chattr", f"-{flag}", str(root / "directory" / "fixed")], timeout_s=10)


@pytest.mark.parametrize("place", ["nowhere", "volume", "elsewhere"])
def test_a_link_is_no_volume(tmp_path: Path, place: str) -> None:
    root = volume(tmp_path)
    (root / "file").write_text("data")
    expected = new_manifest("demo", new_id(), {root.name: tuple(walk(root, read_data=True))})
    root.rename(tmp_path / "elsewhere")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / root.name).symlink_to(tree / root.name if place == "volume" else tmp_path / place)
    with pytest.raises(InfraError):
        compare(expected, tree, read_data=True)


def test_a_bad_sector_is_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel hands out what comes before it, and says EIO at the next read only."""
    root = volume(tmp_path)
    (root / "file").write_bytes(b"x" * 8192)
    real = os.read

    def read(fd: int, count: int) -> bytes:
        if count <= 4097:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd, 4096)

    monkeypatch.setattr(os, "read", read)
    with pytest.raises(InfraError, match="Input/output error") as caught:
        walk(root, read_data=True)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_file_that_shrinks_under_the_walk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = volume(tmp_path)
    (root / "file").write_bytes(b"x" * 8192)
    monkeypatch.setattr(os, "posix_fadvise", lambda *_: os.truncate(root / "file", 100))
    with pytest.raises(InfraError, match="changed while it was read"):
        walk(root, read_data=True)


def test_progress_is_told_every_byte(tmp_path: Path) -> None:
    root = volume(tmp_path)
    (root / "small").write_bytes(b"s" * 1000)
    (root / "big").write_bytes(b"b" * 3_000_000)
    told: list[int] = []
    with_progress = walk(root, read_data=True, progress=told.append)
    assert with_progress == walk(root, read_data=True)
    assert sum(told) == 3_001_000
    assert len(told) > 5
