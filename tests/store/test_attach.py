"""Overlays need root, but no engine."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.trees import plant_torture, save
from warmci.base import process
from warmci.base.errors import InfraError
from warmci.base.fs import mounts_below
from warmci.base.names import new_id
from warmci.base.state import open_state
from warmci.store import attach as attach_module
from warmci.store import manifest as manifests
from warmci.store import snapshot, tree
from warmci.store.attach import attach, detach, leftover_mounts
from warmci.store.quiesce import is_mounted_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    before = os.umask(0o077)
    found = open_state(tmp_path / "state").dir
    yield found
    os.umask(before)
    for mount in mounts_below(found):
        process.run(["umount", str(mount.target)], timeout_s=10)


@pytest.fixture
def torture(state: Path) -> Path:
    staging = snapshot.stage(state, "demo", new_id())
    plant_torture(snapshot.make_volume(staging, "data"))
    (snapshot.make_volume(staging, "more") / "file").write_text("x")
    return snapshot.snapshot_dir(state, "demo", snapshot.finish(staging).id)


@pytest.fixture
def work(state: Path) -> Path:
    return state / ".runs" / new_id() / "work" / "attach"


def assert_untouched(path: Path) -> None:
    assert snapshot.verify(path.parents[2], path.parents[1].name, path.name) == []


def assert_shown(path: Path, shown: Path) -> None:
    """The data under its attachment is the data of the snapshot, its root included."""
    expected = manifests.load_manifest(path / "manifest.json").volumes["data"]
    assert tuple(tree.walk(shown, read_data=True)) == expected


@pytest.mark.integration
def test_an_overlay_shows_the_snapshot_as_it_is(torture: Path, work: Path) -> None:
    attachment = attach(torture, work, ["data", "more"])
    assert (attachment.method, attachment.reason) == ("overlay", "")
    assert sorted(attachment.volumes) == ["data", "more"]
    assert_shown(torture, attachment.volumes["data"])
    options = mounts_below(work)[0].options
    assert all(option in options for option in ("metacopy=on", "volatile", "redirect_dir=on", "index=on"))
    detach(work)
    assert_untouched(torture)


def _write(root: Path) -> None:
    (root / "file").write_text("migrated")
    with (root / "big").open("r+b") as file:
        file.seek(200_000)
        file.write(b"!")
    (root / "new").write_text("new")


def _delete(root: Path) -> None:
    process.run(["sh", "-c", 'rm -rf "$0"/* "$0"/.[!.]*', str(root)], timeout_s=30, check=False)
    assert list(root.iterdir()) == []


def _chown(root: Path) -> None:
    process.run(["chown", "-R", "999:999", str(root)], timeout_s=30)
    process.run(["chmod", "-R", "u+rwX", str(root)], timeout_s=30)
    root.chmod(0o700)


def _rename(root: Path) -> None:
    (root / "dir").rename(root / "moved")
    (root / "big").rename(root / "moved" / "big")
    (root / "link").rename(root / "link2")


def _links(root: Path) -> None:
    os.link(root / "big", root / "big2")
    (root / "hardlink").write_text("through one name")
    assert (root / "file").read_text() == "through one name", "one file, two names"
    os.setxattr(root / "file", "user.note", b"changed")
    os.truncate(root / "hole", 0)


@pytest.mark.integration
@pytest.mark.parametrize("change", [_write, _delete, _chown, _rename, _links])
def test_whatever_a_run_does_the_snapshot_stays(torture: Path, work: Path, change: Callable[[Path], None]) -> None:
    attachment = attach(torture, work, ["data"])
    change(attachment.volumes["data"])
    assert_untouched(torture)
    detach(work)
    assert_untouched(torture)
    assert_shown(torture, attach(torture, work, ["data"]).volumes["data"])
    detach(work)


@pytest.mark.integration
def test_without_its_mount_the_data_is_missing_and_not_empty(torture: Path, work: Path) -> None:
    shown = attach(torture, work, ["data"]).volumes["data"]
    process.run(["umount", str(work / "m")], timeout_s=10)
    assert (work / "m").exists()
    assert not shown.exists(), "an engine that starts it after a reboot must fail, not begin with no data"
    detach(work)


@pytest.mark.integration
def test_detach_leaves_nothing_and_may_be_repeated(state: Path, torture: Path, work: Path) -> None:
    detach(work)
    attach(torture, work, ["data"])
    assert leftover_mounts(state) == [work / "m"]
    detach(work)
    assert leftover_mounts(state) == []
    assert list(work.iterdir()) == []
    detach(work)


@pytest.mark.integration
def test_a_second_attach_is_refused(torture: Path, work: Path) -> None:
    shown = attach(torture, work, ["data"]).volumes["data"]
    (shown / "mine").write_text("x")
    with pytest.raises(InfraError, match="attached already"):
        attach(torture, work, ["data"])
    assert (shown / "mine").exists()
    detach(work)


@pytest.mark.integration
def test_two_runs_share_a_snapshot_and_not_their_writes(state: Path, torture: Path, work: Path) -> None:
    other = state / ".runs" / new_id() / "work"
    first, second = attach(torture, work, ["data"]), attach(torture, other, ["data"])
    (first.volumes["data"] / "mine").write_text("x")
    assert not (second.volumes["data"] / "mine").exists()
    detach(work)
    assert_shown(torture, second.volumes["data"])
    detach(other)


@pytest.mark.integration
def test_a_busy_mount_is_never_taken_away(torture: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach_module, "_UNMOUNT_WAIT_S", 0.3)
    shown = attach(torture, work, ["data"]).volumes["data"]
    with (shown / "file").open("rb") as file:
        with pytest.raises(InfraError, match="cannot be unmounted") as caught:
            detach(work)
        assert "containers" in str(caught.value.hint)
        assert file.read() == b"data"
        assert (work / "upper").exists()
    detach(work)


@pytest.mark.integration
def test_fewer_options_where_the_kernel_refuses_some(
    torture: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach_module, "_OPTIONS", ("nonsense=on", "redirect_dir=on"))
    attachment = attach(torture, work, ["data"])
    assert attachment.method == "overlay"
    assert "redirect_dir=on" in attachment.reason
    assert_shown(torture, attachment.volumes["data"])
    detach(work)


@pytest.mark.integration
def test_a_copy_where_the_kernel_refuses_all(torture: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach_module, "_OPTIONS", ("nonsense=on",))
    attachment = attach(torture, work, ["data"])
    assert attachment.method in {"copy", "reflink"}
    assert attachment.reason.startswith("no overlay here: mount")
    assert_shown(torture, attachment.volumes["data"])
    detach(work)


def test_a_copy_is_the_same_and_apart(torture: Path, work: Path) -> None:
    attachment = attach(torture, work, ["data"], prefer="copy")
    assert attachment.method in {"copy", "reflink"}
    assert attachment.reason == "a copy was asked for"
    shown = attachment.volumes["data"]
    assert_shown(torture, shown)
    _chown(shown)
    _write(shown)
    assert_untouched(torture)
    detach(work)
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("char", [":", ",", "\\", '"'])
def test_paths_that_options_cannot_carry_make_a_copy(torture: Path, state: Path, char: str) -> None:
    work = state / ".runs" / f"a{char}b"
    attachment = attach(torture, work, ["data"])
    assert attachment.method in {"copy", "reflink"}
    assert "character" in attachment.reason
    assert_shown(torture, attachment.volumes["data"])
    detach(work)


@pytest.mark.integration
@pytest.mark.parametrize("name", ["sp ace", "ümlaut", "per%cent", "a=b", "q'uote"])
def test_other_odd_paths_are_fine(torture: Path, state: Path, name: str) -> None:
    work = state / ".runs" / name
    assert attach(torture, work, ["data"]).method == "overlay"
    detach(work)
    assert list(work.iterdir()) == []


def test_data_that_an_overlay_would_hide_is_copied(state: Path, work: Path) -> None:
    staging = snapshot.stage(state, "demo", new_id())
    os.mknod(snapshot.make_volume(staging, "data") / "whiteout", stat.S_IFCHR, 0)
    path = snapshot.snapshot_dir(state, "demo", snapshot.finish(staging).id)
    attachment = attach(path, work, ["data"])
    assert attachment.method in {"copy", "reflink"}
    assert "0/0 device" in attachment.reason
    assert_shown(path, attachment.volumes["data"])


def test_a_volume_that_is_not_in_the_snapshot_is_named(state: Path, work: Path) -> None:
    manifest = save(state)
    with pytest.raises(InfraError, match="no volume cache"):
        attach(snapshot.snapshot_dir(state, "demo", manifest.id), work, ["db", "cache"])
    assert not work.exists()


@pytest.mark.integration
def test_no_trusted_attributes_no_overlay(tmp_path: Path, state: Path, torture: Path) -> None:
    ram = tmp_path / "ram"
    ram.mkdir()
    process.run(["mount", "-t", "ramfs", "none", str(ram)], timeout_s=10)
    try:
        attachment = attach_module._no_overlay(torture, ram, "overlay")
        assert "trusted attributes" in attachment
    finally:
        process.run(["umount", str(ram)], timeout_s=10)


@pytest.mark.integration
def test_an_engine_that_does_not_see_the_mount_gets_a_copy(torture: Path, work: Path) -> None:
    attachment = attach(torture, work, ["data", "more"], is_seen=lambda target: not os.path.ismount(target))
    assert attachment.method in {"copy", "reflink"}
    assert "does not see" in attachment.reason
    assert mounts_below(work) == []
    assert_shown(torture, attachment.volumes["data"])
    detach(work)
    assert_untouched(torture)


@pytest.mark.integration
def test_who_sees_a_mount(torture: Path, work: Path) -> None:
    argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", "echo ready && read _"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "ready\n"
        attach(torture, work, ["data"])
        assert is_mounted_for(os.getpid(), work / "m")
        assert not is_mounted_for(other.pid, work / "m")
        assert not is_mounted_for(None, work / "m")
        assert not is_mounted_for(2**22 + 1, work / "m"), "a process that is gone"
        other.communicate("\n")
    detach(work)
