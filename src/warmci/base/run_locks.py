"""Whether a run lives: its own lock, held from its birth, which the kernel frees when its process is gone."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from warmci.base.errors import InfraError, UsageError
from warmci.base.names import record_id
from warmci.base.state import disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PROBE_GRACE_S = 0.05
"""Longer than somebody asks is_alive."""
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass
class RunLock:
    """The proof that a run lives: held until release() or the death of this process."""

    dir: Path
    fd: int

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def run_lock(run_dir: Path) -> RunLock:
    """Make <state>/.runs/<id> with its lock already held: it appears under its name alive, by one rename."""
    record_id(run_dir.name)
    unborn = run_dir.with_name(f".new-{run_dir.name}")
    with disk(f"run directory {run_dir}"), _births(run_dir.parent.parent):
        if run_dir.exists():
            raise InfraError(f"run directory {run_dir} exists already", hint="start the run again; it gets a new id")
        unborn.mkdir(mode=0o700)
        fd = os.open(unborn / "lock", _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unborn.rename(run_dir)
        except BaseException:
            os.close(fd)
            raise
    return RunLock(run_dir, fd)


def is_alive(state_dir: Path, run: str) -> bool:
    """Whether the process of this run still lives, by its lock alone. The shared probe disturbs nobody."""
    path = state_dir / ".runs" / record_id(run) / "lock"
    try:
        fd = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InfraError(f"whether run {run} lives cannot be told: {path}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def may_live(state_dir: Path, run: str) -> bool:
    """Whether something that names this run is to be left alone; a word that is no run's id cannot be probed."""
    try:
        return is_alive(state_dir, run)
    except UsageError:
        return True


def dead_runs(state_dir: Path) -> list[str]:
    """Runs whose process is gone, ended or killed, oldest first; also sweeps what died before it had a name."""
    runs = state_dir / ".runs"
    with _births(state_dir):
        for unborn in runs.glob(".new-*"):
            shutil.rmtree(unborn)
    names = sorted(path.name for path in runs.iterdir() if not path.name.startswith("."))
    return [name for name in names if not is_alive(state_dir, name)]


@contextmanager
def claimed_run(run_dir: Path) -> Iterator[bool]:
    """Take over a dead run's lock, so that two commands do not clean up the same run; False when it lives."""
    try:
        fd = os.open(run_dir / "lock", _FLAGS)
    except FileNotFoundError:
        yield True  # only labels tell of it: removal of what is gone already is no error
        return
    try:
        yield _locked(fd)
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    end = time.monotonic() + _PROBE_GRACE_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(_PROBE_GRACE_S / 5)
        else:
            return True


@contextmanager
def _births(state_dir: Path) -> Iterator[None]:
    """Between births and the sweep of the unborn, so that neither sees the other half done.

    The lock is on the directory itself: a full disk has no room for one more file.
    """
    fd = os.open(state_dir / ".runs", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
