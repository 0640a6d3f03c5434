"""Work in threads that does not outlive the block which it was begun in."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from warmci.base.stopping import require_wanted, stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
_LOOK_S = 0.1


@dataclass(frozen=True)
class Beside:
    _pool: ThreadPoolExecutor
    _told: threading.Event

    def begin(self, work: Callable[[], T]) -> Future[T]:
        def told_to_stop() -> T:
            with stoppable(self._told):
                return work()

        return self._pool.submit(told_to_stop)


def result(begun: Future[T]) -> T:
    """What it comes to, or its exception. Raises StoppedError when this thread is told to stop itself."""
    while True:
        try:
            return begun.result(_LOOK_S)
        except TimeoutError:
            if begun.done():
                return begun.result()
        require_wanted()


@contextmanager
def beside(threads: int) -> Iterator[Beside]:
    """Whoever leaves the block by an exception, also an interrupt's, tells all that was begun to stop, and waits."""
    told = threading.Event()
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield Beside(pool, told)
        except BaseException:
            told.set()
            raise
