"""Work in threads that may be told to stop: its waits end at once then. In other threads they are plain waits."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from warmci.base.errors import WarmciError

if TYPE_CHECKING:
    from collections.abc import Iterator

_here = threading.local()


class StoppedError(WarmciError):
    """Nobody wants the work of this thread any more; never told to a user."""

    def __init__(self) -> None:
        super().__init__("stopped: the other half is over")


@contextmanager
def stoppable(told: threading.Event) -> Iterator[None]:
    """What this thread does within ends with StoppedError at its next wait once the event is set."""
    _here.told = told
    try:
        yield
    finally:
        _here.told = None


def require_wanted() -> None:
    """Raise StoppedError where this thread was told to stop."""
    told = _told()
    if told is not None and told.is_set():
        raise StoppedError


def pause(seconds: float) -> None:
    """Sleep. Raises StoppedError at once when this thread is told to stop."""
    told = _told()
    if told is None:
        time.sleep(seconds)
    elif told.wait(seconds):
        raise StoppedError


def _told() -> threading.Event | None:
    found: threading.Event | None = getattr(_here, "told", None)
    return found
