from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from warmci.base.errors import BusyError, InfraError, UsageError
from warmci.base.locks import Holder, app_lock, held, read_holder, slot
from warmci.base.names import new_id
from warmci.base.run_locks import dead_runs, is_alive, run_lock
from warmci.base.state import open_state

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event
    from pathlib import Path

fork = multiprocessing.get_context("fork")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return open_state(tmp_path / "state").dir


def holder(run: str = "run-a", recipe: str = "demo") -> Holder:
    return Holder.here(run, recipe, "quick", "deploy")


def test_the_holder_is_readable_while_it_holds(state: Path) -> None:
    path = state / ".locks" / "app-demo"
    assert read_holder(path) is None
    with app_lock(state, "demo", holder(), wait_s=0) as lock:
        found = read_holder(path)
        assert found is not None
        assert (found.run, found.recipe, found.pid, found.phase) == ("run-a", "demo", os.getpid(), "deploy")
        lock.set_phase("assert")
        found = read_holder(path)
        assert found is not None
        assert found.phase == "assert"
    assert read_holder(path) is None
    assert path.exists()


def test_all_that_is_held_and_nothing_else(state: Path) -> None:
    assert held(state) == {}
    named = Holder.here("run-a", "demo", "run quick", "deploy", "7")
    with app_lock(state, "demo", named, wait_s=0), slot(state, 2, named, wait_s=0):
        (state / ".locks" / "app-idle").write_text(named.model_dump_json())
        found = held(state)
        assert set(found) == {"app-demo", "slot-0"}
        assert found["slot-0"] is not None
        assert found["slot-0"].pr == "7"
        assert str(found["app-demo"]).startswith("run run-a of demo PR 7 (run quick, pid ")
        (state / ".locks" / "app-demo").write_text("torn")
        assert held(state)["app-demo"] is None
    assert held(state) == {}


def test_busy_names_who_holds_it_and_has_its_exit_code(state: Path) -> None:
    with (
        app_lock(state, "demo", holder("run-a"), wait_s=0),
        pytest.raises(BusyError, match=r"run run-a of demo \(quick, pid \d+, deploy\) since 20") as caught,
        app_lock(state, "demo", holder("run-b"), wait_s=0),
    ):
        pass
    assert caught.value.exit_code == 75
    with app_lock(state, "demo", holder("run-b"), wait_s=0):
        pass


def test_other_recipes_do_not_wait(state: Path) -> None:
    with app_lock(state, "demo", holder(), wait_s=0), app_lock(state, "other", holder(), wait_s=0):
        pass


def test_waits_until_free_and_says_so_once(state: Path) -> None:
    said: list[Holder | None] = []
    taken = threading.Event()

    def hold() -> None:
        with app_lock(state, "demo", holder("first"), wait_s=0):
            taken.set()
            time.sleep(0.5)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(5)
    with app_lock(state, "demo", holder("second"), wait_s=10, on_wait=said.append):
        pass
    thread.join()
    assert [item.run for item in said if item] == ["first"]


def test_slots_are_as_many_as_set(state: Path) -> None:
    with slot(state, 2, holder("one"), wait_s=0) as first, slot(state, 2, holder("two"), wait_s=0) as second:
        assert first.path != second.path
        with pytest.raises(BusyError, match=r"all 2 slots.*run one.*run two"), slot(state, 2, holder(), wait_s=0):
            pass
    with slot(state, 1, holder(), wait_s=0):
        pass


def _hold_forever(state: Path, ready: Event) -> None:
    with app_lock(state, "demo", holder("victim"), wait_s=0):
        ready.set()
        time.sleep(60)


def test_kill_9_frees_the_lock_at_once(state: Path) -> None:
    ready = fork.Event()
    victim = fork.Process(target=_hold_forever, args=(state, ready))
    victim.start()
    assert ready.wait(10)
    with pytest.raises(BusyError, match="victim"), app_lock(state, "demo", holder(), wait_s=0):
        pass
    assert victim.pid
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    assert read_holder(state / ".locks" / "app-demo") is None
    with app_lock(state, "demo", holder(), wait_s=0):
        pass


def _count_up(state: Path, counter: Path) -> None:
    for _ in range(10):
        with app_lock(state, "demo", holder(), wait_s=60):
            value = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(value + 1))


def test_processes_that_race_never_hold_it_together(state: Path) -> None:
    counter = state / "counter"
    counter.write_text("0")
    racers = [fork.Process(target=_count_up, args=(state, counter)) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert counter.read_text() == "30"


def test_a_planted_symlink_is_not_followed(state: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (state / ".locks" / "app-demo").symlink_to(tmp_path / "victim")
    with pytest.raises(InfraError, match="lock"), app_lock(state, "demo", holder(), wait_s=0):
        pass
    assert (tmp_path / "victim").read_text() == "precious"


def test_names_cannot_leave_the_directory(state: Path) -> None:
    with pytest.raises(UsageError), app_lock(state, "../demo", holder(), wait_s=0):
        pass
    with pytest.raises(UsageError):
        is_alive(state, "../../etc")


def test_a_child_given_the_descriptor_keeps_the_lock_until_it_ends(state: Path) -> None:
    with app_lock(state, "demo", holder(), wait_s=0) as lock:
        child = subprocess.Popen(["sleep", "30"], pass_fds=[lock.fd])
    try:
        with pytest.raises(BusyError), app_lock(state, "demo", holder(), wait_s=0):
            pass
    finally:
        child.kill()
        child.wait()
    with app_lock(state, "demo", holder(), wait_s=5):
        pass


def test_torn_diagnostics_do_not_matter(state: Path) -> None:
    path = state / ".locks" / "app-demo"
    with app_lock(state, "demo", holder(), wait_s=0):
        path.write_text('{"run": "half')
        assert read_holder(path) is None
        with pytest.raises(BusyError, match="has not said who"), app_lock(state, "demo", holder(), wait_s=0):
            pass


def test_a_run_lives_as_long_as_its_lock(state: Path) -> None:
    run = new_id()
    assert not is_alive(state, run)
    with run_lock(state / ".runs" / run) as lock:
        assert lock.dir.is_dir()
        assert is_alive(state, run)
        assert dead_runs(state) == []
        with pytest.raises(InfraError, match="exists already"):
            run_lock(state / ".runs" / run)
        assert is_alive(state, run)
    assert not is_alive(state, run)
    assert dead_runs(state) == [run]


def test_a_lock_that_cannot_be_read_is_told_in_words(state: Path) -> None:
    run = new_id()
    (state / ".runs" / run).mkdir()
    (state / ".runs" / run / "lock").symlink_to("lock")
    with pytest.raises(InfraError, match=f"whether run {run} lives cannot be told"):
        is_alive(state, run)


def test_a_killed_run_is_dead(state: Path) -> None:
    run = new_id()
    script = (
        "import sys,time;from pathlib import Path;from warmci.base.run_locks import run_lock\n"
        "lock=run_lock(Path(sys.argv[1]));print('held',flush=True);time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(state / ".runs" / run)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    assert child.stdout.readline() == "held\n"
    assert is_alive(state, run)
    child.kill()
    child.wait()
    child.stdout.close()
    assert dead_runs(state) == [run]


def test_no_newborn_ever_looks_dead(state: Path) -> None:
    parents = [fork.Process(target=_hold_runs, args=(state, 100)) for _ in range(2)]
    for parent in parents:
        parent.start()
    seen: set[str] = set()
    while any(parent.is_alive() for parent in parents) and not (state / "stop").exists():
        seen.update(dead_runs(state))
        if len(list((state / ".runs").iterdir())) >= 200:
            break
    assert seen == set()
    (state / "stop").write_text("")
    for parent in parents:
        parent.join()
        assert parent.exitcode == 0
    assert len(dead_runs(state)) == 200


def _hold_runs(state: Path, count: int) -> None:
    locks = [run_lock(state / ".runs" / new_id()) for _ in range(count)]
    while not (state / "stop").exists():
        time.sleep(0.02)
    assert len(locks) == count


def test_what_died_before_it_had_a_name_is_swept(state: Path) -> None:
    unborn = state / ".runs" / f".new-{new_id()}"
    unborn.mkdir()
    (unborn / "lock").write_text("")
    assert dead_runs(state) == []
    assert not unborn.exists()
