"""A tree gone through by descriptors, without following links: what betrays a writer, and what cannot be kept."""

from __future__ import annotations

import ctypes
import os
import re
import stat
import sys
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_from_bytes

from warmci.base.errors import InfraError
from warmci.base.state import disk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SAFE = "/ !#$&'()*+,-.:;<=>?@[]^_`{|}~"
_PLAIN = re.compile(rf"[A-Za-z0-9~{re.escape(_SAFE)}]*").fullmatch
"""Quoting it would change nothing; it is four times as fast to see that first."""
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_BYTES = 256
_UNCHANGEABLE = 0x10 | 0x20
"""STATX_ATTR_IMMUTABLE and STATX_ATTR_APPEND, statx(2)."""
_libc = ctypes.CDLL(None, use_errno=True)


_SIGNS = 5
"""Of a mark, how many fields betray a writer."""


class Mark(NamedTuple):
    """What changes when somebody writes; its ctime tells of owners, modes, attributes and names too."""

    inode: int
    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    blocks: int
    """Allocated, in units of 512 bytes; no sign of a writer, as a file system allocates when it likes."""


def quoted(name: str) -> str:
    """A name as printable ASCII, whatever bytes it has; reversible by urllib.parse.unquote_to_bytes."""
    return name if _PLAIN(name) else quote_from_bytes(os.fsencode(name), safe=_SAFE)


def marks(root: Path) -> dict[str, Mark]:
    """Path to mark of everything at and below root: five times as fast as a walk, and nothing is opened."""
    with disk(f"reading {root}"):
        return {path: mark_of(facts) for _, path, _, facts in scan(root)}


def mark_of(facts: os.stat_result) -> Mark:
    size = 0 if stat.S_ISDIR(facts.st_mode) else facts.st_size
    return Mark(facts.st_ino, facts.st_mode, size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_blocks)


def betrayed(was: Mapping[str, Mark], now: Mapping[str, Mark]) -> list[str]:
    """Paths at which somebody wrote between two looks."""
    if was == now:
        return []
    paths = was.keys() | now.keys()
    return sorted(path for path in paths if was.get(path, ())[:_SIGNS] != now.get(path, ())[:_SIGNS])


def unchangeable(root: Path) -> str | None:
    """Path of an immutable or append-only object (chattr +i, +a); None where there is none, or no such thing."""
    with disk(f"reading {root}"):
        return next((path for fd, path, name, facts in scan(root) if _is_unchangeable(fd, name, facts)), None)


def scan(root: Path) -> Iterator[tuple[int, str, str, os.stat_result]]:
    """(descriptor of its directory, path, name, facts) of everything; never follows a link, never blocks on a fifo.

    One descriptor per level would end at a thousand levels, recursion too: it goes up by `..` and checks where it is.
    """
    fd: int = os.open(root, _DIRECTORY)
    try:
        facts = os.fstat(fd)
        device = facts.st_dev
        yield fd, ".", ".", facts
        levels = [_Level("", identity_of(facts))]
        while levels:
            level = levels[-1]
            if level.pending is None:
                level.pending = deque()
                for name in _listed(fd):
                    facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    if facts.st_dev != device:
                        raise InfraError(
                            f"{root}: {quoted(level.prefix + name)} is on another file system",
                            hint="unmount it; a btrfs subvolume inside a volume cannot be kept either",
                        )
                    yield fd, level.prefix + name, name, facts
                    if stat.S_ISDIR(facts.st_mode):
                        level.pending.append((name, identity_of(facts)))
            if level.pending:
                name, identity = level.pending.popleft()
                fd = _moved(root, fd, name, identity)
                levels.append(_Level(f"{level.prefix}{name}/", identity))
            else:
                levels.pop()
                if levels:
                    fd = _moved(root, fd, "..", levels[-1].identity)
    finally:
        os.close(fd)


def _listed(directory: int) -> list[str]:
    """By inode, which is where a cold disk has them side by side."""
    with os.scandir(directory) as entries:
        return [entry.name for entry in sorted(entries, key=os.DirEntry.inode)]


@dataclass
class _Level:
    prefix: str
    identity: tuple[int, int]
    pending: deque[tuple[str, tuple[int, int]]] | None = None
    """Directories still to go down into; None until it was listed."""


def _moved(root: Path, fd: int, name: str, identity: tuple[int, int]) -> int:
    there = os.open(name, _DIRECTORY, dir_fd=fd)
    if identity_of(os.fstat(there)) != identity:
        os.close(there)
        raise changed(root)
    os.close(fd)
    return there


def identity_of(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def changed(root: Path) -> InfraError:
    return InfraError(f"{root} changed while it was read", hint="is a container still using it?")


def _is_unchangeable(fd: int, name: str, facts: os.stat_result) -> bool:
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        return False
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    if _libc.statx(fd, os.fsencode(name), _AT_SYMLINK_NOFOLLOW, 0, buffer):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return bool(int.from_bytes(buffer.raw[8:16], sys.byteorder) & _UNCHANGEABLE)
