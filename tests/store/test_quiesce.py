"""Needs root for mounts, no engine."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.trees import save
from warmci.base import fs, process
from warmci.base.errors import InfraError
from warmci.base.names import new_id
from warmci.store import attach, snapshot
from warmci.store.quiesce import mount_users, refuse_mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def test_a_quiet_tree_has_no_users(tmp_path: Path) -> None:
    assert mount_users(tmp_path) == []
    refuse_mounted(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "sp ace ü"
    (path / "inside").mkdir(parents=True)
    return path


@pytest.fixture
def bound(tree: Path, tmp_path: Path) -> Iterator[Path]:
    target = tmp_path / "target"
    target.mkdir()
    process.run(["mount", "--bind", str(tree / "inside"), str(target)], timeout_s=10)
    yield target
    process.run(["umount", str(target)], timeout_s=10)


@pytest.mark.integration
def test_a_bind_mount_elsewhere_is_a_user(tree: Path, bound: Path) -> None:
    assert any(str(bound) in user for user in mount_users(tree))
    assert mount_users(tree.parent / "other") == []
    with pytest.raises(InfraError, match=r"in use: .*target") as caught:
        refuse_mounted(tree)
    assert "undeploy" in str(caught.value.hint)


@pytest.mark.integration
def test_a_mount_inside_is_a_user(tree: Path) -> None:
    process.run(["mount", "-t", "tmpfs", "none", str(tree / "inside")], timeout_s=10)
    try:
        assert any("mounted inside" in user for user in mount_users(tree))
        with pytest.raises(InfraError, match="in use"):
            snapshot.remove(tree)
        assert (tree / "inside").exists()
    finally:
        process.run(["umount", str(tree / "inside")], timeout_s=10)


@pytest.mark.integration
def test_another_namespace_is_looked_into(tree: Path, tmp_path: Path) -> None:
    script = 'mkdir "$1/t" && mount --bind "$0/inside" "$1/t" && echo ready && read _'
    child = subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", script, str(tree), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    try:
        assert child.stdout.readline() == "ready\n"
        assert not os.path.ismount(tmp_path / "t"), "not visible from here"
        assert [user for user in mount_users(tree) if f"pid {child.pid}" in user]
    finally:
        child.communicate("\n")
    assert mount_users(tree) == []


@pytest.fixture
def stranger() -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Somebody who copies all mounts of the host into a namespace of his own, and stays."""
    started = []

    def begin() -> subprocess.Popen[str]:
        argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", "echo ready && read _"]
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(child)
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        return child

    yield begin
    for child in started:
        child.communicate("\n")


@pytest.mark.integration
def test_copies_in_a_strangers_namespace_do_not_hold_a_run(
    tmp_path: Path, stranger: Callable[[], subprocess.Popen[str]]
) -> None:
    manifest = save(tmp_path)
    source = snapshot.snapshot_dir(tmp_path, "demo", manifest.id)
    attached = attach.attach(source, tmp_path / "run", ["db"])
    assert attached.method == "overlay"
    engines = tmp_path / "volumes" / "demo_db" / "_data"
    engines.mkdir(parents=True)
    process.run(["mount", "--bind", str(attached.volumes["db"]), str(engines)], timeout_s=10)
    child = stranger()
    process.run(["umount", str(engines)], timeout_s=10)
    attach.detach(tmp_path / "run")
    copies = (Path("/proc") / str(child.pid) / "mountinfo").read_text()
    assert str(engines) in copies, "the stranger still has it"
    assert mount_users(source) == []
    snapshot.discard(tmp_path, "demo", manifest.id)
    assert not source.exists()


@pytest.mark.integration
def test_a_container_that_was_not_known_holds_it(tmp_path: Path) -> None:
    """It has a root of its own, and the data somewhere below it."""
    manifest = save(tmp_path)
    source = snapshot.snapshot_dir(tmp_path, "demo", manifest.id)
    attached = attach.attach(source, tmp_path / "run", ["db"])
    root = tmp_path / "root"
    script = (
        'mkdir "$0" && mount -t tmpfs none "$0" && cd "$0" && mkdir old data bin lib lib64 usr proc && '
        'for d in bin lib lib64 usr proc; do mount --bind "/$d" "$d" || exit 1; done && '
        'mount --bind "$1" data && pivot_root . old && cd / && umount -l /old && echo ready && read _'
    )
    argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, str(root), str(attached.volumes["db"])]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    try:
        assert child.stdout.readline() == "ready\n"
        with pytest.raises(InfraError, match=rf"in use: /data \(pid {child.pid}\)"):
            attach.detach(tmp_path / "run")
        assert [user for user in mount_users(source) if user.startswith("/data ")]
    finally:
        child.communicate("\n")
    attach.detach(tmp_path / "run")


@pytest.mark.integration
def test_a_snapshot_in_use_is_neither_made_nor_removed(tmp_path: Path) -> None:
    staging = snapshot.stage(tmp_path, "demo", new_id())
    (snapshot.make_volume(staging, "data") / "file").write_text("x")
    target = tmp_path / "target"
    target.mkdir()
    process.run(["mount", "--bind", str(staging / "volumes" / "data"), str(target)], timeout_s=10)
    try:
        with pytest.raises(InfraError, match="in use"):
            snapshot.finish(staging)
    finally:
        process.run(["umount", str(target)], timeout_s=10)
    manifest = snapshot.finish(staging)
    volumes = snapshot.snapshot_dir(tmp_path, "demo", manifest.id) / "volumes"
    (tmp_path / "upper").mkdir()
    (tmp_path / "work").mkdir()
    options = f"lowerdir={volumes},upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    process.run(["mount", "-t", "overlay", "-o", options, "overlay", str(target)], timeout_s=10)
    try:
        with pytest.raises(InfraError, match="in use"):
            snapshot.discard(tmp_path, "demo", manifest.id)
        assert snapshot.verify(tmp_path, "demo", manifest.id) == []
    finally:
        process.run(["umount", str(target)], timeout_s=10)


def test_finished_snapshots_are_quiet(tmp_path: Path) -> None:
    manifest = save(tmp_path)
    assert mount_users(snapshot.snapshot_dir(tmp_path, "demo", manifest.id)) == []


def test_a_mount_table_that_cannot_be_read_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable() -> list[object]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/proc/self/mountinfo")

    monkeypatch.setattr(fs, "mounts", unreadable)
    for look in (refuse_mounted, attach.leftover_mounts, attach.detach):
        with pytest.raises(InfraError, match="the mount table: Too many open files"):
            look(tmp_path)
