from __future__ import annotations

import errno
import multiprocessing
import os
import stat
from typing import TYPE_CHECKING

import pytest

from warmci.base import process
from warmci.base.errors import InfraError, UsageError
from warmci.base.state import check_space, disk, open_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_makes_a_private_layout_and_keeps_its_instance(tmp_path: Path) -> None:
    target = tmp_path / "a" / "state"
    first = open_state(target)
    assert [stat.S_IMODE((target / part).stat().st_mode) for part in (".", ".runs", ".locks", ".instance")] == [
        0o700,
        0o700,
        0o700,
        0o600,
    ]
    assert open_state(target) == first
    assert len(first.instance) == 12
    (target / "later").write_text("")
    assert stat.S_IMODE((target / "later").stat().st_mode) == 0o600


@pytest.mark.parametrize("part", ["", ".runs", ".locks"])
@pytest.mark.parametrize("mode", [0o750, 0o705, 0o711, 0o777])
def test_refuses_a_directory_that_others_may_enter(tmp_path: Path, part: str, mode: int) -> None:
    open_state(tmp_path / "state")
    (tmp_path / "state" / part).chmod(mode)
    with pytest.raises(UsageError, match=r"open to others") as caught:
        open_state(tmp_path / "state")
    assert "chmod 0700" in str(caught.value.hint)


@pytest.mark.parametrize("part", ["", ".runs"])
def test_refuses_a_symlink(tmp_path: Path, part: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    target = tmp_path / "state"
    if part:
        target.mkdir(mode=0o700)
    (target / part).symlink_to(elsewhere)
    with pytest.raises(UsageError, match="symlink"):
        open_state(target)


def test_refuses_a_file_and_a_strangers_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not a directory"):
        open_state(tmp_path / "file")
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", 1234, 0)
    with pytest.raises(UsageError, match="belongs to user 1234"):
        open_state(tmp_path / "theirs")


def test_refuses_a_damaged_instance_instead_of_making_a_new_one(tmp_path: Path) -> None:
    open_state(tmp_path / "state")
    for damage in ("", "short", "z" * 12, "a" * 13, "\0" * 12):
        (tmp_path / "state" / ".instance").write_text(damage)
        with pytest.raises(InfraError, match="instance id"):
            open_state(tmp_path / "state")


def test_removes_what_a_kill_left_of_an_instance(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "..instance.77.tmp").write_text("half")
    open_state(state)
    assert sorted(path.name for path in state.iterdir()) == [".instance", ".locks", ".runs"]


def _instance_of(path: Path) -> str:
    return open_state(path).instance


def test_a_race_ends_with_one_instance(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(_instance_of, [tmp_path / "state"] * 8))) == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_a_name(code: int) -> None:
    with pytest.raises(InfraError, match="no space: saving x") as caught, disk("saving x"):
        raise OSError(code, "full")
    assert caught.value.exit_code == 3
    assert "warmci prune" in str(caught.value.hint)


def test_other_disk_errors_say_which_file() -> None:
    with pytest.raises(InfraError, match=r"saving x: Input/output error \(/a/b\)"), disk("saving x"):
        raise OSError(errno.EIO, "Input/output error", "/a/b")


def test_missing_room_is_no_space(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="no space: the copy needs"):
        check_space(tmp_path, "the copy", bytes_needed=2**60)
    with pytest.raises(InfraError, match="inodes"):
        check_space(tmp_path, "the copy", inodes_needed=2**50)


@pytest.mark.integration
@pytest.mark.parametrize("size", ["size=64k", "nr_inodes=3", "ro"])
def test_a_full_or_readonly_file_system_is_infrastructure(tmp_path: Path, size: str) -> None:
    process.run(["mount", "-t", "tmpfs", "-o", f"{size},mode=0700", "none", str(tmp_path)], timeout_s=10)
    try:
        with pytest.raises(InfraError, match=r"no space|Read-only"):
            open_state(tmp_path / "state")
    finally:
        process.run(["umount", str(tmp_path)], timeout_s=10)


@pytest.mark.integration
def test_a_full_disk_can_still_be_cleaned(tmp_path: Path) -> None:
    process.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=0700", "none", str(tmp_path)], timeout_s=10)
    try:
        state = open_state(tmp_path)
        (tmp_path / "filler").write_bytes(b"x" * 20 * 2**20)
        with pytest.raises(InfraError, match="no space"):
            open_state(tmp_path)
        assert open_state(tmp_path, floor_bytes=0) == state
    finally:
        process.run(["umount", str(tmp_path)], timeout_s=10)
