"""Who uses the live Keycloak: runs share it, whoever takes it down has it alone. flock, so a killed run lets go."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from warmci.errors import BusyError
from warmci.state import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_POLL_S = 0.1


@contextmanager
def shared(state_dir: Path, *, wait_s: float, on_wait: Callable[[], None]) -> Iterator[None]:
    """For a run: the live Keycloak stays up meanwhile. Raises BusyError when it is being replaced for too long."""
    with _held(state_dir, fcntl.LOCK_SH, wait_s, on_wait, "the live Keycloak is being replaced"):
        yield


@contextmanager
def alone(state_dir: Path, *, wait_s: float, on_wait: Callable[[], None]) -> Iterator[None]:
    """For whoever takes it down: waits until no run uses it. Raises BusyError after wait_s."""
    with _held(state_dir, fcntl.LOCK_EX, wait_s, on_wait, "runs still use the live Keycloak"):
        yield


@contextmanager
def _held(state_dir: Path, kind: int, wait_s: float, on_wait: Callable[[], None], state: str) -> Iterator[None]:
    path = state_dir / ".locks" / "keycloak-users"
    with disk(f"lock {path}"):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        end, told = time.monotonic() + wait_s, False
        while True:
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise BusyError(f"{state}, after {wait_s:.0f} s", hint="try later or raise lock_wait_s") from None
            if not told:
                on_wait()
                told = True
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(fd)
