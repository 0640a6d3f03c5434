"""Who uses live-warm infrastructure: runs share it, whoever takes it down has it alone. flock: a killed run lets go.

Whoever waits to have it alone holds the gate meanwhile: new runs queue behind him, else an endless row of them could
keep him waiting.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from warmci.base.errors import BusyError
from warmci.base.state import disk
from warmci.live.infrastructure import KEYCLOAK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from warmci.live.infrastructure import Infrastructure

_POLL_S = 0.1


@contextmanager
def shared(
    state_dir: Path, *, wait_s: float, on_wait: Callable[[], None], of: Infrastructure = KEYCLOAK
) -> Iterator[None]:
    """For a run: it stays up meanwhile. Raises BusyError when it is being replaced for too long."""
    state, wait_end = f"the live {of.title} is being replaced", time.monotonic() + wait_s
    with _held(state_dir, _users(of), fcntl.LOCK_SH, wait_end, on_wait, state, through=_gate(of)):
        yield


@contextmanager
def alone(
    state_dir: Path, *, wait_s: float, on_wait: Callable[[], None], of: Infrastructure = KEYCLOAK
) -> Iterator[None]:
    """For whoever takes it down: waits until no run uses it. Raises BusyError after wait_s."""
    state, wait_end = f"runs still use the live {of.title}", time.monotonic() + wait_s
    with (
        _held(state_dir, _gate(of), fcntl.LOCK_EX, wait_end, on_wait, f"somebody else waits to replace {of.title}"),
        _held(state_dir, _users(of), fcntl.LOCK_EX, wait_end, on_wait, state),
    ):
        yield


def _users(of: Infrastructure) -> str:
    return f"{of.subject}-users"


def _gate(of: Infrastructure) -> str:
    return f"{of.subject}-gate"


@contextmanager
def _held(
    state_dir: Path, name: str, kind: int, end: float, on_wait: Callable[[], None], state: str, *, through: str = ""
) -> Iterator[None]:
    """Hold a lock of this kind; `through` is a lock that is only passed through on the way."""
    with ExitStack() as passing, _opened(state_dir, name) as fd:
        if through:
            _wait(passing.enter_context(_opened(state_dir, through)), fcntl.LOCK_SH, end, on_wait, state)
        _wait(fd, kind, end, on_wait, state)
        passing.close()
        yield


@contextmanager
def _opened(state_dir: Path, name: str) -> Iterator[int]:
    path = state_dir / ".locks" / name
    with disk(f"lock {path}"):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _wait(fd: int, kind: int, end: float, on_wait: Callable[[], None], state: str) -> None:
    began, told = time.monotonic(), False
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                waited = f"after {time.monotonic() - began:.0f} s"
                raise BusyError(f"{state}, {waited}", hint="try later or raise lock_wait_s") from None
        else:
            return
        if not told:
            on_wait()
            told = True
        time.sleep(_POLL_S)
