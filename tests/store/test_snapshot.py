from __future__ import annotations

import os
import random
import stat
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.hostile_trees import HOSTILE
from support.trees import plant_torture, save
from warmci.base import fs, process
from warmci.base.errors import InfraError, UsageError
from warmci.base.names import new_id
from warmci.store import copying, snapshot, tree
from warmci.store import manifest as manifests


def staged(state: Path, volume: str = "data") -> tuple[Path, Path]:
    staging = snapshot.stage(state, "demo", new_id())
    return staging, snapshot.make_volume(staging, volume)


def test_a_staging_is_private_and_its_volumes_are_as_the_engine_makes_them(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        staging, root = staged(tmp_path)
    finally:
        os.umask(before)
    parts = [staging.parent.parent, staging.parent, staging, staging / "volumes", root]
    assert [stat.S_IMODE(path.stat().st_mode) for path in parts] == [0o700] * 4 + [0o755]


def test_a_finished_snapshot_has_its_name_and_verifies(tmp_path: Path) -> None:
    staging, root = staged(tmp_path)
    plant_torture(root)
    inode = root.stat().st_ino
    manifest = snapshot.finish(staging)
    assert not staging.exists()
    path = snapshot.snapshot_dir(tmp_path, "demo", manifest.id)
    assert (path / "volumes" / "data").stat().st_ino == inode, "a rename, not a copy"
    assert stat.S_IMODE((path / "manifest.json").stat().st_mode) == 0o600
    assert snapshot.verify(tmp_path, "demo", manifest.id) == []
    (path / "volumes" / "data" / "file").write_text("other")
    assert snapshot.verify(tmp_path, "demo", manifest.id)


def test_a_snapshot_under_a_strange_name_is_found_out(tmp_path: Path) -> None:
    manifest = save(tmp_path)
    other = new_id()
    path = snapshot.snapshot_dir(tmp_path, "demo", manifest.id)
    path.rename(path.with_name(other))
    assert snapshot.verify(tmp_path, "demo", other) == [f"manifest is that of demo {manifest.id}"]


def test_an_empty_snapshot_is_refused(tmp_path: Path) -> None:
    staging, root = staged(tmp_path)
    (root / "only").mkdir()
    with pytest.raises(InfraError, match="holds no file"):
        snapshot.finish(staging)
    assert staging.exists()
    assert snapshot.finish(staging, allow_empty=True).volumes["data"][0].path == "."
    with pytest.raises(InfraError, match="holds no file"):
        snapshot.finish(snapshot.stage(tmp_path, "demo", new_id()))


def test_a_writer_is_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, write in enumerate((_append, _create, _touch)):
        (tmp_path / str(number)).mkdir()
        staging, root = staged(tmp_path / str(number))
        (root / "log").write_text("one")
        monkeypatch.setattr(fs, "sync_file_system", lambda _, root=root, write=write: write(root))
        with pytest.raises(InfraError, match="changed while it was saved"):
            snapshot.finish(staging)
        assert not (staging.parent.parent / "snapshots").exists()


def _append(root: Path) -> None:
    with (root / "log").open("a") as file:
        file.write("two")


def _create(root: Path) -> None:
    (root / "new").write_text("")


def _touch(root: Path) -> None:
    (root / "log").write_text("two")
    os.utime(root / "log", ns=(7, 7))


def test_a_writer_that_never_rests_never_makes_a_snapshot(tmp_path: Path) -> None:
    staging, root = staged(tmp_path)
    for number in range(300):
        (root / f"f{number}").write_text("x" * 5000)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with (root / f"f{random.randrange(300)}").open("a") as file:
                file.write("more")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with pytest.raises(InfraError, match="changed while"):
            snapshot.finish(staging)
    finally:
        stop.set()
        thread.join()


def test_a_failed_sync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging, root = staged(tmp_path)
    (root / "file").write_text("x")
    calls = []

    def fail(place: object) -> None:
        calls.append(place)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(fs, "sync_file_system", fail)
    with pytest.raises(InfraError, match="Input/output error"):
        snapshot.finish(staging)
    assert len(calls) == 1
    assert not (staging / "manifest.json").exists()


@pytest.mark.parametrize("name", ["../up", ".hidden", "-rf", "a/b", "sp ace"])
def test_a_volume_cannot_have_any_name(tmp_path: Path, name: str) -> None:
    staging = snapshot.stage(tmp_path, "demo", new_id())
    with pytest.raises(UsageError, match="volume"):
        snapshot.make_volume(staging, name)


def test_ids_and_recipes_are_checked_before_they_are_paths(tmp_path: Path) -> None:
    for recipe, snapshot_id in (("../x", new_id()), ("demo", "../../x"), ("demo", "")):
        with pytest.raises(UsageError):
            snapshot.stage(tmp_path, recipe, snapshot_id)
        with pytest.raises(UsageError):
            snapshot.discard(tmp_path, recipe, snapshot_id)


def test_a_copy_is_the_same_in_everything(tmp_path: Path) -> None:
    staging, root = staged(tmp_path)
    plant_torture(root)
    manifest = snapshot.finish(staging)
    path = snapshot.snapshot_dir(tmp_path, "demo", manifest.id)
    target = snapshot.stage(tmp_path, "demo", new_id())
    snapshot.copy_from(path, target)
    assert manifests.compare(manifest, target / "volumes", read_data=True) == []
    copied = target / "volumes" / "data"
    assert (copied / "hole").stat().st_blocks * 512 < 2**20
    assert (copied / "file").stat().st_ino != (path / "volumes" / "data" / "file").stat().st_ino
    (copied / "file").write_text("advanced")
    assert snapshot.verify(tmp_path, "demo", manifest.id) == []


def test_a_damaged_snapshot_is_not_copied_on(tmp_path: Path) -> None:
    manifest = save(tmp_path)
    path = snapshot.snapshot_dir(tmp_path, "demo", manifest.id)
    (path / "volumes" / "db" / "content").write_text("rot!")
    with pytest.raises(InfraError, match="differs in") as caught:
        snapshot.copy_from(path, snapshot.stage(tmp_path, "demo", new_id()))
    assert "warmci snapshot verify demo" in str(caught.value.hint)


def test_a_copy_that_will_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = save(tmp_path)
    target = snapshot.stage(tmp_path, "demo", new_id())
    monkeypatch.setattr(copying, "_RESERVE_BYTES", 2**60)
    with pytest.raises(InfraError, match="no space"):
        snapshot.copy_from(snapshot.snapshot_dir(tmp_path, "demo", manifest.id), target)
    assert list((target / "volumes").iterdir()) == []


@pytest.mark.integration
def test_a_disk_that_fills_under_the_copy_is_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", str(tmp_path)], timeout_s=10)
    try:
        manifest = save(tmp_path, content="x" * 100_000)
        monkeypatch.setattr(copying, "check_space", lambda *_, **__: None)
        with pytest.raises(InfraError, match="no space"):
            snapshot.copy_from(
                snapshot.snapshot_dir(tmp_path, "demo", manifest.id), snapshot.stage(tmp_path, "demo", new_id())
            )
        assert snapshot.verify(tmp_path, "demo", manifest.id) == []
    finally:
        process.run(["umount", str(tmp_path)], timeout_s=10)


def test_discard_leaves_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    manifest = save(tmp_path)
    snapshot.discard(tmp_path, "demo", manifest.id)
    snapshot.discard(tmp_path, "demo", manifest.id)
    assert [path for path in (tmp_path / "demo").rglob("*") if path.is_file()] == []


def test_remove_follows_no_link_out_of_the_tree(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    doomed = tmp_path / "doomed"
    doomed.mkdir()
    (doomed / "link").symlink_to(precious)
    snapshot.remove(doomed)
    (tmp_path / "direct").symlink_to(precious)
    snapshot.remove(tmp_path / "direct")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    assert (precious / "file").exists()


@pytest.mark.integration
def test_immutable_files_do_not_keep_trash_alive(tmp_path: Path) -> None:
    doomed = tmp_path / "doomed"
    doomed.mkdir()
    (doomed / "file").write_text("x")
    process.run(["chattr", "+i", str(doomed / "file")], timeout_s=10)
    snapshot.remove(doomed)
    assert not doomed.exists()


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_trees_are_saved_verified_and_discarded(tmp_path: Path, case: str) -> None:
    staging, root = staged(tmp_path)
    HOSTILE[case](root)
    manifest = snapshot.finish(staging)
    path = snapshot.snapshot_dir(tmp_path, "demo", manifest.id)
    assert snapshot.verify(tmp_path, "demo", manifest.id) == []
    assert (path / snapshot.COPY_ONLY).exists() == (case in {"whiteout", "opaque"})
    if case != "deep":  # cp works with whole paths, and says so
        snapshot.copy_from(path, snapshot.stage(tmp_path, "demo", new_id()))
    snapshot.discard(tmp_path, "demo", manifest.id)
    assert not path.exists()


NODES = st.tuples(
    st.sampled_from(["file", "dir", "link", "fifo", "device", "hole", "socket", "hardlink"]),
    st.binary(min_size=1, max_size=24).filter(lambda raw: not set(raw) & set(b"/\0") and raw not in {b".", b".."}),
    st.integers(0, 0o7777),
    st.integers(0, 70_000),
    st.integers(0, 2**31 * 10**9 - 1),
    st.binary(max_size=300),
)


@settings(max_examples=30, deadline=None)
@given(nodes=st.lists(NODES, min_size=1, max_size=8, unique_by=lambda node: node[1]))
def test_any_tree_survives_save_and_copy(nodes: list[tuple[str, bytes, int, int, int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as home:
        state = Path(home)
        staging, root = staged(state)
        for node in nodes:
            _plant(root, *node)
        before = tree.walk(root, read_data=True)
        manifest = snapshot.finish(staging, allow_empty=True)
        assert list(manifest.volumes["data"]) == before
        copy = snapshot.stage(state, "demo", new_id())
        snapshot.copy_from(snapshot.snapshot_dir(state, "demo", manifest.id), copy)
        assert snapshot.verify(state, "demo", manifest.id) == []
        snapshot.remove(state / "demo")


def _plant(root: Path, kind: str, name: bytes, mode: int, owner: int, mtime: int, data: bytes) -> None:
    path = root / os.fsdecode(name)
    files = [other for other in root.iterdir() if other.is_file() and not other.is_symlink()]
    if kind == "hardlink" and files:
        os.link(files[0], path)
        return
    if kind == "dir":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(data.replace(b"\0", b"").decode("utf-8", "surrogateescape") or "x")
    elif kind in {"fifo", "device", "socket"}:
        types = {"fifo": stat.S_IFIFO, "device": stat.S_IFBLK, "socket": stat.S_IFSOCK}
        os.mknod(path, types[kind] | 0o600, os.makedev(7, 99) if kind == "device" else 0)
    else:
        with path.open("wb") as file:
            file.truncate(100_000 if kind == "hole" else 0)
            file.write(data)
    os.chown(path, owner, owner + 1, follow_symlinks=False)
    if kind != "link":
        path.chmod(mode)
        os.setxattr(path, "trusted.note", data)
    os.utime(path, ns=(0, mtime), follow_symlinks=False)
