"""The state directory: made and checked once per process, before anything is trusted to it."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, UsageError
from warmci.base.fs import write_atomic
from warmci.base.names import recipe_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLOOR_BYTES = 16 * 2**20
FLOOR_INODES = 64
_PARTS = (".runs", ".locks")
_INSTANCE = re.compile(r"[0-9a-f]{12}")
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class State:
    dir: Path
    instance: str
    """Twelve hex digits that tell this state directory's engine objects from those of a neighbour."""


@contextmanager
def disk(what: str) -> Iterator[None]:
    """Say what the disk refused: InfraError "no space" when it is full, InfraError with the reason otherwise."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise no_space(what) from error
        where = f" ({error.filename})" if error.filename else ""
        raise InfraError(f"{what}: {error.strerror or error}{where}") from error


def recipe_home(state_dir: Path, recipe: str) -> Path:
    """STATE/RECIPE, there or not. Raises InfraError for a link: it would lead to another recipe's data, or out."""
    path = state_dir / recipe_name(recipe)
    if path.is_symlink():
        raise InfraError(f"{path} is a link, no recipe's directory", hint=f"rm {path}")
    return path


def no_space(what: str) -> InfraError:
    return InfraError(f"no space: {what}", hint="warmci prune, or enlarge the state directory's file system")


def check_space(path: Path, what: str, *, bytes_needed: int = FLOOR_BYTES, inodes_needed: int = FLOOR_INODES) -> None:
    """Raise InfraError "no space" unless path's file system has room, in bytes and in inodes."""
    with disk(what):
        room = os.statvfs(path)
    free = room.f_bavail * room.f_frsize
    if free < bytes_needed:
        raise no_space(f"{what} needs {bytes_needed} bytes, {path} has {free}")
    if room.f_files and room.f_favail < inodes_needed:  # btrfs counts no inodes and says 0
        raise no_space(f"{what} needs {inodes_needed} inodes, {path} has {room.f_favail}")


def open_state(state_dir: Path, *, floor_bytes: int = FLOOR_BYTES) -> State:
    """Make or check the state directory and set umask 077 for the whole process.

    floor_bytes=0 lets a command that frees space work on a full disk.
    Raises UsageError when the directory is not ours alone, InfraError when the disk is full or read-only.
    """
    os.umask(0o077)
    with disk(f"state directory {state_dir}"):
        if not state_dir.is_symlink() and not state_dir.exists():
            state_dir.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            state_dir.mkdir(mode=0o700, exist_ok=True)
        device = _check_private(state_dir)
        for part in _PARTS:
            path = state_dir / part
            if not path.is_symlink() and not path.exists():
                path.mkdir(mode=0o700, exist_ok=True)
            if _check_private(path) != device:
                raise UsageError(f"{path} is on another file system than {state_dir}", hint="unmount it")
        if not os.access(state_dir, os.W_OK | os.X_OK):
            raise InfraError(f"state directory {state_dir} is not writable", hint="is it mounted read-only?")
        if floor_bytes:
            check_space(state_dir, "a run", bytes_needed=floor_bytes)
        return State(state_dir.resolve(), _instance(state_dir))


def _check_private(path: Path) -> int:
    """The device of a directory that nobody else can enter; UsageError for any other path."""
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        raise UsageError(f"{path} is not a directory (symlinks are refused)", hint="set state_dir to the real path")
    if facts.st_uid != os.geteuid():
        raise UsageError(f"{path} belongs to user {facts.st_uid}", hint=f"chown it to user {os.geteuid()}")
    if facts.st_mode & 0o077:
        mode = stat.S_IMODE(facts.st_mode)
        raise UsageError(f"{path} is open to others (mode {mode:04o})", hint=f"chmod 0700 {path}, if it is WarmCI's")
    return facts.st_dev


def _instance(state_dir: Path) -> str:
    path = state_dir / ".instance"
    if not path.exists():
        _make_instance(state_dir, path)
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if not _INSTANCE.fullmatch(text):
        raise InfraError(
            f"{path} does not hold an instance id",
            hint="restore it; a new one would disown this host's stacks, volumes and realms",
        )
    return text


def _make_instance(state_dir: Path, path: Path) -> None:
    fd = os.open(state_dir / ".locks" / "state", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        for stale in state_dir.glob("..instance.*.tmp"):
            stale.unlink()
        if not path.exists():
            write_atomic(path, secrets.token_hex(6) + "\n")
    finally:
        os.close(fd)
