"""flock on permanent files: the kernel frees a dead holder's lock, so there are no stale ones and no pid guesses."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self

from pydantic import ValidationError

from warmci.base.errors import BusyError
from warmci.base.models import Record
from warmci.base.names import recipe_name
from warmci.base.state import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

POLL_S = 0.1
_PROBE_GRACE_S = 0.05
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class Holder(Record):
    """Who holds a lock: for people to read, never for decisions."""

    run: str
    recipe: str
    pid: int
    host: str
    since: datetime
    command: str
    phase: str = ""
    pr: str = ""
    until: datetime | None = None
    """When a kept run ends by itself; none while it is under way."""

    @classmethod
    def here(cls, run: str, recipe: str, command: str, phase: str = "", pr: str = "") -> Self:
        return cls(
            run=run,
            recipe=recipe,
            pid=os.getpid(),
            host=socket.gethostname(),
            since=datetime.now(UTC),
            command=command,
            phase=phase,
            pr=pr,
        )

    def __str__(self) -> str:
        pr, phase = f" PR {self.pr}" if self.pr else "", f", {self.phase}" if self.phase else ""
        what = f"run {self.run} of {self.recipe}{pr} ({self.command}, pid {self.pid}{phase})"
        return f"{what} since {self.since:%F %T} UTC"


@dataclass
class Lock:
    path: Path
    fd: int
    """For pass_fds of a child that writes under this lock and must not outlive it unnoticed."""
    holder: Holder

    def set_phase(self, phase: str, until: datetime | None = None) -> None:
        self.holder = self.holder.model_copy(update={"phase": phase, "until": until})
        _write_holder(self.fd, self.holder)


def show_phase(held_locks: Iterable[Lock], phase: str, until: datetime | None = None) -> None:
    for lock in held_locks:
        lock.set_phase(phase, until)


@contextmanager
def app_lock(
    state_dir: Path,
    recipe: str,
    holder: Holder,
    *,
    wait_s: float,
    on_wait: Callable[[Holder | None], None] | None = None,
) -> Iterator[Lock]:
    """The recipe's lock: guards its canonical, its staging and its stable domain. Raises BusyError after wait_s."""
    path = _locks_dir(state_dir) / f"app-{recipe_name(recipe)}"
    with _held([path], holder, wait_s, on_wait, f"recipe {recipe}") as lock:
        yield lock


@contextmanager
def slot(
    state_dir: Path,
    max_tests: int,
    holder: Holder,
    *,
    wait_s: float,
    on_wait: Callable[[Holder | None], None] | None = None,
) -> Iterator[Lock]:
    """One of max_tests places to run a test on this host. Raises BusyError after wait_s."""
    paths = [_locks_dir(state_dir) / f"slot-{number}" for number in range(max_tests)]
    with _held(paths, holder, wait_s, on_wait, f"all {max_tests} slots of this host") as lock:
        yield lock


def held(state_dir: Path) -> dict[str, Holder | None]:
    """Locks that somebody holds now, by file name: app-RECIPE, slot-N, sweep, reconcile. None: unknown."""
    found = {}
    for kind in ("app-*", "slot-*", "sweep", "reconcile"):
        for path in sorted(_locks_dir(state_dir).glob(kind)):
            holder, is_held = _look(path)
            if is_held:
                found[path.name] = holder
    return found


@contextmanager
def host_lock(state_dir: Path, work: Literal["sweep", "reconcile"], holder: Holder) -> Iterator[Lock]:
    """One sweep, and one reconcile of the registry, at a time on this host. Raises BusyError at once."""
    with _held([_locks_dir(state_dir) / work], holder, 0, None, f"the {work} of this host") as lock:
        yield lock


def read_holder(path: Path) -> Holder | None:
    """Who holds this lock now; None when it is free or its holder has not written yet."""
    return _look(path)[0]


def _look(path: Path) -> tuple[Holder | None, bool]:
    try:
        fd = os.open(path, _FLAGS)
    except FileNotFoundError:
        return None, False
    try:
        # A shared probe is over at once; _held grants every contender a grace that outlasts it.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _parse_holder(fd), True
    else:
        return None, False
    finally:
        os.close(fd)


def _locks_dir(state_dir: Path) -> Path:
    return state_dir / ".locks"


@contextmanager
def _held(
    paths: Sequence[Path],
    holder: Holder,
    wait_s: float,
    on_wait: Callable[[Holder | None], None] | None,
    what: str,
) -> Iterator[Lock]:
    lock = _acquire(paths, holder, wait_s, on_wait, what)
    try:
        yield lock
    finally:
        with suppress(OSError):
            os.ftruncate(lock.fd, 0)
        os.close(lock.fd)


def _acquire(
    paths: Sequence[Path],
    holder: Holder,
    wait_s: float,
    on_wait: Callable[[Holder | None], None] | None,
    what: str,
) -> Lock:
    deadline = time.monotonic() + max(wait_s, _PROBE_GRACE_S)
    while True:
        for path in paths:
            fd = _try(path)
            if fd is not None:
                holder = holder.model_copy(update={"since": datetime.now(UTC)})
                _write_holder(fd, holder)
                return Lock(path, fd, holder)
        left = deadline - time.monotonic()
        if left <= 0:
            holders = [read_holder(path) for path in paths]
            held = "; ".join(str(other or "someone who has not said who") for other in holders)
            kept = next((other.run for other in holders if other and other.until), "")
            hint = f"warmci run clean {kept} ends it" if kept else "warmci locks says who holds what; try later"
            raise BusyError(f"{what}: busy after {wait_s:.0f} s, held by {held}", hint=hint)
        if on_wait and wait_s > 0:
            on_wait(read_holder(paths[0]))
            on_wait = None
        time.sleep(min(POLL_S, left))


def _try(path: Path) -> int | None:
    while True:
        with disk(f"lock {path}"):
            fd = os.open(path, _FLAGS | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)  # unlinked by a stranger: others would lock the new file


def _write_holder(fd: int, holder: Holder) -> None:
    text = holder.model_dump_json().encode() + b"\n"
    with suppress(OSError):  # a full disk must not keep `warmci recover` from its lock
        os.pwrite(fd, text, 0)
        os.ftruncate(fd, len(text))


def _parse_holder(fd: int) -> Holder | None:
    line = os.pread(fd, 8192, 0).split(b"\n", 1)[0]
    try:
        return Holder.model_validate_json(line)
    except ValidationError:
        return None
