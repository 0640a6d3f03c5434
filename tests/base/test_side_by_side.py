"""What is begun beside ends with its block: by its own end, or told to, whatever was being waited for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from warmci.base import process
from warmci.base.side_by_side import beside, result
from warmci.base.stopping import StoppedError, stoppable

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

_LIMITS = process.Limits(cpu_s=60, memory=2**30, output=2**20)


def slow_tool(into: Path, seconds: float) -> int:
    return process.run_limited(
        ["sleep", str(seconds)], limits=_LIMITS, timeout_s=60, cwd=into, env={"PATH": "/usr/bin:/bin"}, into=into
    )


def late_answer() -> str:
    time.sleep(0.3)
    return "late"


def test_results_and_errors_are_those_of_the_work() -> None:
    with beside(2) as side:
        good, late = side.begin(lambda: 7), side.begin(late_answer)
        bad = side.begin(lambda: int("x"))
        assert (result(good), result(late)) == (7, "late")
        with pytest.raises(ValueError, match="invalid literal"):
            result(bad)


def test_a_timeout_of_the_works_own_is_told() -> None:
    def runs_out() -> None:
        raise TimeoutError("its own")

    with beside(1) as side, pytest.raises(TimeoutError, match="its own"):
        result(side.begin(runs_out))


def test_an_interrupt_ends_the_tools_of_other_threads(tmp_path: Path) -> None:
    begun: list[Future[int]] = []

    def interrupted() -> None:
        with beside(1) as side:
            begun.append(side.begin(lambda: slow_tool(tmp_path, 30)))
            while not (tmp_path / "stdout").exists():
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert isinstance(begun[0].exception(0), StoppedError)  # of the tool's 30 s nothing was waited for


def test_whoever_is_told_to_stop_stops_what_it_has_begun(tmp_path: Path) -> None:
    told, ends = threading.Event(), []

    def half() -> None:
        with stoppable(told):
            try:
                with beside(1) as side:
                    result(side.begin(lambda: slow_tool(tmp_path, 30)))
            except StoppedError as error:
                ends.append(error)

    thread = threading.Thread(target=half)
    thread.start()
    while not (tmp_path / "stdout").exists():
        time.sleep(0.01)
    told.set()
    thread.join(10)
    assert not thread.is_alive()
    assert len(ends) == 1
