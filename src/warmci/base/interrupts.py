"""SIGINT, SIGTERM and SIGHUP become an exception in the main thread; in steps that must not be cut they wait."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from warmci.base.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_shielded = False
_only_once = False
_pending: list[int] = []


def install() -> None:
    """From now on the signals raise InterruptedRunError; called once by the entry files."""
    for number in _SIGNALS:
        signal.signal(number, _received)


def end() -> None:
    """What came of the command stands: from now on the signals change nothing, up to the end of the interpreter."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _received(number: int, _frame: FrameType | None) -> None:
    global _shielded  # noqa: PLW0603  (as below)
    if _shielded:
        _pending.append(number)
        name = signal.Signals(number).name
        sys.stderr.write(f"\n{name}: please wait until this step is over\n")
        return
    _shielded = _only_once
    raise _error(number, "")


def _error(number: int, done: str) -> InterruptedRunError:
    name = signal.Signals(number).name
    if done:
        return InterruptedRunError(f"interrupted by {name}, but {done}")
    return InterruptedRunError(f"interrupted by {name}", hint="what the run had made is removed; start it again")


@contextmanager
def shielded(done: str = "") -> Iterator[None]:
    """Within, signals wait: what is under way runs to its end. One that came meanwhile is raised afterwards.

    done: what is complete then, for whoever reads of the interrupt. Where the block failed, that is the news.
    """
    global _shielded  # noqa: PLW0603  (signals are the process's, and so is this)
    before, _shielded = _shielded, True
    received: list[int] = []
    try:
        yield
    finally:
        _shielded = before
        if not before:
            received = list(_pending)
            _pending.clear()
    if received:
        _shielded = _only_once
        raise _error(received[0], done)


@contextmanager
def once() -> Iterator[None]:
    """Within, one interrupt is enough: what it begins, a clean-up and a verdict, is cut short by none that follows."""
    global _only_once, _shielded  # noqa: PLW0603  (as above)
    before = _only_once, _shielded
    _only_once = True
    try:
        yield
    finally:
        _only_once, _shielded = before
        if not _shielded:
            _pending.clear()
