"""Full-fidelity copies by cp(1): owners, modes, times, xattrs, hard links, holes, devices, sockets, roots."""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base import process
from warmci.base.errors import InfraError
from warmci.base.names import volume_name
from warmci.base.state import check_space, disk, no_space
from warmci.store.scan import marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from warmci.store.scan import Mark
    from warmci.store.tree import Progress

_TIMEOUT_S = 3600.0
_RESERVE_BYTES = 64 * 2**20
_LOOK_S = 0.2
_FICLONE = 0x40049409


def copy_volumes(source: Path, target: Path, names: Iterable[str], *, pass_fds: Sequence[int] = ()) -> None:
    """Copy volumes of one directory into another. Raises InfraError "no space" before it starts when room is short."""
    chosen = [volume_name(name) for name in names]
    check_room(target, [marks(source / name) for name in chosen])
    for name in chosen:
        with copying(source / name, target / name, pass_fds=pass_fds):
            pass


def check_room(target: Path, trees: Iterable[Mapping[str, Mark]]) -> None:
    """Raise InfraError "no space" when target's file system is short of bytes or inodes for copies of the trees."""
    seen = [mark for tree in trees for mark in tree.values()]
    needed = bytes_of(seen) * 21 // 20 + _RESERVE_BYTES
    check_space(target, "the copy", bytes_needed=needed, inodes_needed=len(seen) + 64)


def bytes_of(seen: Iterable[Mark]) -> int:
    """Allocated bytes: what a copy takes, holes left out."""
    return sum(mark.blocks * 512 for mark in seen)


def can_clone(directory: Path) -> bool:
    """Whether files below it can share their blocks, ioctl_ficlonerange(2); asked with files that have no names."""
    try:
        old = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        os.write(old, b"x" * 4096)
        new = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.ioctl(new, _FICLONE, old)
        finally:
            os.close(new)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(old)


def would_clone(source: Path, directory: Path) -> bool:
    """Whether a copy of source made below directory would share its blocks."""
    return source.stat().st_dev == directory.stat().st_dev and can_clone(directory)


class NotClonedError(InfraError):
    """A file of which the file system makes no clone, though it does of others."""


@contextmanager
def copying(
    source: Path,
    target: Path,
    *,
    clone: bool = False,
    pass_fds: Sequence[int] = (),
    progress: Progress | None = None,
) -> Iterator[None]:
    """Copies while the block does something else; at its end target is the whole copy, or InfraError is raised.

    target must not exist. clone: each file shares its blocks with the one it is a copy of, else NotClonedError is
    raised. pass_fds: the lock's descriptor, so that the lock outlives us as long as the copying child.
    """
    what = f"copy of {source}"
    with disk(what):
        target.mkdir(mode=0o700)
    how = ["--reflink=always"] if clone else ["--reflink=auto", "--sparse=always"]
    command = ["cp", "-a", *how, "--", f"{source}/.", str(target)]
    with process.start(command, env={"LC_ALL": "C"}, pass_fds=pass_fds) as child, _watched(child.pid, progress):
        try:
            yield
            said = process.finish(child, command, timeout_s=_TIMEOUT_S).stderr
        except process.CommandError as error:
            if "No space left" in error.tail or "quota exceeded" in error.tail:
                raise no_space(what) from error
            if "failed to clone" in error.tail:
                raise NotClonedError(f"{what}: {error.tail.splitlines()[-1]}") from error
            raise
        except BaseException:
            process.stop(child)
            raise
    if said.strip():
        raise InfraError(f"{what}: cp warned: {said.strip().splitlines()[0]}")


@contextmanager
def _watched(pid: int, progress: Progress | None) -> Iterator[None]:
    """Tell progress what the child has written, as the kernel counts it."""
    if progress is None:
        yield
        return
    over = threading.Event()

    def look() -> None:
        before = 0
        while not over.wait(_LOOK_S):
            with suppress(OSError, ValueError, IndexError):  # it has ended
                text = Path(f"/proc/{pid}/io").read_text(encoding="ascii")
                now = int(text.partition("wchar:")[2].split()[0])
                progress(now - before)
                before = now

    watcher = threading.Thread(target=look, name="copy-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
