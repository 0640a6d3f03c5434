"""Runs share the live Keycloak; whoever takes it down waits for them, and they for him."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from warmci.base.errors import BusyError
from warmci.base.state import open_state
from warmci.live import lock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return open_state(tmp_path / "state", floor_bytes=0).dir


def test_shared_by_many_or_held_alone(state_dir: Path) -> None:
    told: list[str] = []
    with (
        lock.shared(state_dir, wait_s=0, on_wait=lambda: told.append("run")),
        lock.shared(state_dir, wait_s=0, on_wait=lambda: told.append("run")),
    ):
        assert told == []
        with (
            pytest.raises(BusyError, match="runs still use the live Keycloak, after 0 s"),
            lock.alone(state_dir, wait_s=0.2, on_wait=lambda: told.append("reconcile")),
        ):
            pass
        assert told == ["reconcile"]
    with (
        lock.alone(state_dir, wait_s=0, on_wait=lambda: told.append("never")),
        pytest.raises(BusyError, match="is being replaced"),
        lock.shared(state_dir, wait_s=0, on_wait=lambda: told.append("never")),
    ):
        pass


def test_a_killed_run_lets_go(state_dir: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from warmci.live import lock\n"
        "with lock.shared(Path(sys.argv[1]), wait_s=0, on_wait=print):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", script, str(state_dir)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "held\n"
        with pytest.raises(BusyError), lock.alone(state_dir, wait_s=0, on_wait=lambda: None):
            pass
        run.kill()
        run.wait()
        with lock.alone(state_dir, wait_s=5, on_wait=lambda: None):
            pass


def test_new_runs_queue_behind_whoever_waits(state_dir: Path) -> None:
    """Else an endless row of overlapping runs would keep him waiting."""
    with lock.shared(state_dir, wait_s=0, on_wait=lambda: None):
        waiting = threading.Event()

        def replace() -> None:
            with lock.alone(state_dir, wait_s=20, on_wait=waiting.set):
                pass

        thread = threading.Thread(target=replace)
        thread.start()
        assert waiting.wait(10)
        with (
            pytest.raises(BusyError, match="is being replaced"),
            lock.shared(state_dir, wait_s=0.2, on_wait=lambda: None),
        ):
            pass
    thread.join(20)
    assert not thread.is_alive()
    with lock.shared(state_dir, wait_s=5, on_wait=lambda: None):
        pass
