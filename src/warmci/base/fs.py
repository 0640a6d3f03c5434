"""Files that must survive: atomic writes, durable renames, removal of trees, mounts as the kernel lists them."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


def fsync_dir(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomic(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace path by text, durably: the old content or the new one, at every instant; with this mode, no less."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            os.fchmod(fd, mode)  # past the umask
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


def write_json(path: Path, value: Any) -> None:
    write_atomic(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def rename_durable(source: Path, target: Path) -> None:
    """Rename a tree to a name that does not exist yet and make both directories remember it."""
    if target.exists():
        raise FileExistsError(target)
    source.rename(target)
    fsync_dir(target.parent)
    if source.parent != target.parent:
        fsync_dir(source.parent)


def exchange(one: Path, other: Path) -> bool:
    """Swap two names at once and make their directories remember it; False where the file system cannot."""
    if _libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        code = ctypes.get_errno()
        if code in {errno.EINVAL, errno.ENOSYS}:
            return False
        raise OSError(code, os.strerror(code), str(one))
    for directory in {one.parent, other.parent}:
        fsync_dir(directory)
    return True


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A directory's descriptor, for a sync_file_system that is to hear of errors from now on."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def sync_file_system(place: Path | int) -> None:
    """Make everything on a file system durable; one syncfs is ten times faster than a fsync per file.

    Open the directory before writing: an error that another one's sync has been told of is not told to those who come
    later (syncfs(2), errseq_t).
    """
    if not isinstance(place, int):
        with opened(place) as fd:
            sync_file_system(fd)
    elif _libc.syncfs(place):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def remove_tree(path: Path) -> None:
    """Delete a tree, never following links out of it and never crossing into a mount; absent is fine."""
    if not path.is_symlink() and not path.exists():
        return
    inside = mounts_below(path)
    if inside:
        raise OSError(f"{path} still has {inside[0].target} mounted in it")
    if path.is_symlink() or not path.is_dir():
        path.unlink()
    else:
        shutil.rmtree(path)


class Mount(NamedTuple):
    """A line of mountinfo (proc_pid_mountinfo(5)), its names unescaped."""

    device: str
    root: str
    """Which directory of the file system is mounted; for a bind mount, its source."""
    target: Path
    kind: str
    source: str
    options: str
    """Of the file system, not of the mount."""


def _unescape(text: str) -> str:
    """Octal escapes of the kernel (space, tab, newline, backslash) undone; any other byte is a file name's own."""
    if "\\" not in text:
        return text
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), os.fsencode(text)))


def mounts(process: Path = Path("/proc/self")) -> list[Mount]:
    """Mounts of a process's namespace, oldest first."""
    found = []
    for line in os.fsdecode((process / "mountinfo").read_bytes()).split("\n")[:-1]:
        left, _, right = line.partition(" - ")
        device, root, target = (_unescape(field) for field in left.split(" ")[2:5])
        kind, source, options = (_unescape(field) for field in right.split(" ")[:3])
        found.append(Mount(device, root, Path(target), kind, source, options))
    return found


def mounts_below(path: Path) -> list[Mount]:
    """Mounts at or below path, innermost first: the order in which they can be unmounted."""
    real = path.resolve()
    return [mount for mount in reversed(mounts()) if mount.target == real or real in mount.target.parents]
