"""SIGINT and SIGTERM become an exception in the main thread, once; while cleaning up they wait."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from warmci.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_shielded = False


def install() -> None:
    """From now on the signals raise InterruptedRunError; called once by the entry files."""
    for number in _SIGNALS:
        signal.signal(number, _received)


def _received(number: int, _frame: FrameType | None) -> None:
    if _shielded:
        name = signal.Signals(number).name
        sys.stderr.write(f"\n{name}: cleaning up, please wait (after a kill -9 the next command cleans up)\n")
        return
    raise InterruptedRunError(f"interrupted by {signal.Signals(number).name}", hint="everything was cleaned up")


@contextmanager
def shielded() -> Iterator[None]:
    """Within, signals are only noted: clean-up runs to its end."""
    global _shielded  # noqa: PLW0603  (signals are the process's, and so is this)
    before, _shielded = _shielded, True
    try:
        yield
    finally:
        _shielded = before
