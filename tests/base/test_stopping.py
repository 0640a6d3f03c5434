"""A thread that is told to stop: each of its waits ends, and no other thread's."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from warmci.base import process, stopping
from warmci.base.stopping import StoppedError, require_wanted, stoppable


def test_a_wait_ends_at_once_when_told() -> None:
    told = threading.Event()
    threading.Timer(0.05, told.set).start()
    began = time.monotonic()
    with stoppable(told), pytest.raises(StoppedError):
        stopping.pause(60)
    assert time.monotonic() - began < 30
    with stoppable(told), pytest.raises(StoppedError):
        require_wanted()


def test_a_wait_for_a_process_ends_and_leaves_it_to_its_owner() -> None:
    told = threading.Event()
    with process.start([sys.executable, "-c", "import time; time.sleep(60)"]) as sleeping:
        threading.Timer(0.05, told.set).start()
        with stoppable(told), pytest.raises(StoppedError):
            process.wait(sleeping, timeout_s=60)
        assert process.wait(sleeping, timeout_s=0) is None
        process.stop(sleeping)


def test_others_wait_as_ever() -> None:
    told = threading.Event()
    told.set()
    with stoppable(told):
        other = threading.Thread(target=stopping.pause, args=(0.01,))
        other.start()
        other.join(60)
    assert not other.is_alive()
    stopping.pause(0)
    require_wanted()
