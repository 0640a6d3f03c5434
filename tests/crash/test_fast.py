"""A sample of the crash suite for `make test`: every method once, on the scenarios that lose most if they are wrong."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import concurrency
import fulldisk
import mutations
import order
import powercut
import pytest
from campaigns import Result, errors, kills, second_kills
from isolation import isolated
from scenarios import SCENARIOS

from warmci.base.errors import BusyError
from warmci.base.locks import Holder, app_lock
from warmci.base.names import new_id
from warmci.base.state import open_state
from warmci.store import copying

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration
EXT4 = powercut.FILE_SYSTEMS["ext4"]


@pytest.mark.parametrize("name", ["replace", "save of live volumes", "restore", "remove"])
def test_kills(name: str, tmp_path: Path) -> None:
    result = isolated(lambda room: kills(SCENARIOS[name], room, most=8), tmp_path / "room")
    assert result.wrong == []
    assert result.cases


def test_second_kills(tmp_path: Path) -> None:
    result = isolated(lambda room: second_kills(SCENARIOS["remove"], room, most=6), tmp_path / "room")
    assert result.wrong == []
    assert result.cases


@pytest.mark.parametrize("code", ["EIO", "ENOSPC"])
def test_errors(code: str, tmp_path: Path) -> None:
    result = isolated(lambda room: errors(SCENARIOS["replace"], room, code, for_good=False, most=10), tmp_path / "room")
    assert result.wrong == []
    assert result.cases


@pytest.mark.parametrize("name", ["replace", "restore"])
def test_power_cuts(name: str, tmp_path: Path) -> None:
    result = isolated(lambda room: powercut.power_cuts(SCENARIOS[name], room, EXT4, most=6), tmp_path / "room")
    assert result.wrong == []
    assert result.cases


def test_full_disk(tmp_path: Path) -> None:
    result, succeeded = isolated(
        lambda room: fulldisk.full_disk(SCENARIOS["replace"], room, "inodes", steps=6), tmp_path / "room"
    )
    assert result.wrong == []
    assert 0 < succeeded < result.cases


@pytest.mark.parametrize("name", SCENARIOS)
def test_order(name: str, tmp_path: Path) -> None:
    assert isolated(lambda room: order.lint(SCENARIOS[name], room), tmp_path / "room").wrong == []


def test_several(tmp_path: Path) -> None:
    result = isolated(lambda room: concurrency.several(room, seconds=4, workers=3), tmp_path / "room")
    assert result.wrong == []


@pytest.mark.parametrize("variant", mutations.MUTATIONS)
def test_broken_variants_are_seen(variant: str, tmp_path: Path) -> None:
    """By the cheapest method that can."""

    def broken(room: Path) -> Result:
        mutation = mutations.MUTATIONS[variant]
        mutation.apply()
        if "order" in mutation.seen_by:
            return order.lint(SCENARIOS["replace"], room)
        return kills(SCENARIOS["replace"], room, most=20)

    assert isolated(broken, tmp_path / "room").wrong != []


def test_a_lock_outlives_its_holder_as_long_as_its_copy_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the death signal, the worst case: the holder is killed, the copying child is not."""
    state = open_state(tmp_path / "state").dir
    source = tmp_path / "source" / "data"
    source.mkdir(parents=True)
    (source / "file").write_text("data")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "target").mkdir()
    holder = os.fork()
    if not holder:
        start = subprocess.Popen
        monkeypatch.setattr(
            "warmci.base.process.subprocess.Popen",
            lambda argv, **options: start(["sh", "-c", f'read line < {pipe}; exec "$@"', "sh", *argv[4:]], **options),
        )
        with app_lock(state, "demo", Holder.here(new_id(), "demo", "test"), wait_s=0) as lock:
            copying.copy_volumes(source.parent, tmp_path / "target", ["data"], pass_fds=[lock.fd])
        os._exit(0)
    deadline = time.monotonic() + 10
    while not (tmp_path / "target" / "data").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(holder, 9)
    os.waitpid(holder, 0)
    other = Holder.here(new_id(), "demo", "test")
    with pytest.raises(BusyError), app_lock(state, "demo", other, wait_s=0.5):
        pass
    pipe.write_text("go\n")
    with app_lock(state, "demo", other, wait_s=10):
        assert (tmp_path / "target" / "data" / "file").read_text() == "data"
