"""A tree read without following links: every object as a manifest keeps it, or just what betrays a writer."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import stat
import sys
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_from_bytes

from warmci.errors import InfraError
from warmci.state import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Progress = Callable[[int], None]
    """Told how many bytes more are done."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_INLINE_BYTES = 2**18
_CHUNK = 2**18
_OPEN_FILES = 64
_SAFE = "/ !#$&'()*+,-.:;<=>?@[]^_`{|}~"
_TYPES = {
    stat.S_IFDIR: "d",
    stat.S_IFREG: "f",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "s",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
}
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_BYTES = 256
_UNCHANGEABLE = 0x10 | 0x20
"""STATX_ATTR_IMMUTABLE and STATX_ATTR_APPEND, statx(2)."""
_libc = ctypes.CDLL(None, use_errno=True)


class Entry(NamedTuple):
    """One object of a volume; a JSON list in the manifest, in this order."""

    path: str
    """Percent-encoded bytes below the volume's root; the root itself is `.`."""
    type: str
    """d directory, f file, l symlink, p fifo, s socket, c and b devices."""
    mode: int
    uid: int
    gid: int
    size: int
    """Bytes; 0 for a directory, whose size is its file system's affair."""
    mtime_ns: int
    rdev: int
    group: int
    """Names with the same number are hard links of one file; 0: no other name in this volume."""
    xattrs: dict[str, str]
    """Name (percent-encoded) to value in hex; ACLs and capabilities are among them."""
    target: str
    sha256: str


class Mark(NamedTuple):
    """What changes when somebody writes; its ctime tells of owners, modes, attributes and names too."""

    inode: int
    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    blocks: int
    """Allocated, in units of 512 bytes."""
    unchangeable: bool


def quoted(name: str) -> str:
    """A name as printable ASCII, whatever bytes it has; reversible by urllib.parse.unquote_to_bytes."""
    return quote_from_bytes(os.fsencode(name), safe=_SAFE)


def walk(root: Path, *, read_data: bool, progress: Progress | None = None) -> list[Entry]:
    """Every object at and below root, in the order of its path; read_data also hashes files, telling progress.

    Raises InfraError when the tree changes under the walk or has something mounted in it.
    """
    hashes = _Hashes(progress)
    with disk(f"reading {root}"), ThreadPoolExecutor(2) as pool:
        seen = []
        for fd, path, name, facts in _scan(root):
            target = os.readlink(name, dir_fd=fd) if stat.S_ISLNK(facts.st_mode) else ""
            seen.append((path, facts, _xattrs(f"/proc/self/fd/{fd}/{name}"), target))
            if read_data and stat.S_ISREG(facts.st_mode):
                hashes.add(path, _opened(root, name, fd, facts), facts.st_size, pool)
        return _entries(seen, hashes)


def marks(root: Path) -> dict[str, Mark]:
    """Path to mark of everything at and below root: three times as fast as a walk, and nothing is opened."""
    with disk(f"reading {root}"):
        return {
            path: Mark(
                facts.st_ino,
                facts.st_mode,
                0 if stat.S_ISDIR(facts.st_mode) else facts.st_size,
                facts.st_mtime_ns,
                facts.st_ctime_ns,
                facts.st_blocks,
                _is_unchangeable(fd, name, facts),
            )
            for fd, path, name, facts in _scan(root)
        }


def _scan(root: Path) -> Iterator[tuple[int, str, str, os.stat_result]]:
    """(descriptor of its directory, path, name, facts) of everything; never follows a link, never blocks on a fifo.

    One descriptor per level would end at a thousand levels, recursion too: it goes up by `..` and checks where it is.
    """
    fd: int = os.open(root, _DIRECTORY)
    try:
        facts = os.fstat(fd)
        device = facts.st_dev
        yield fd, ".", ".", facts
        levels = [_Level("", _identity(facts))]
        while levels:
            level = levels[-1]
            if level.pending is None:
                level.pending = []
                for name in os.listdir(fd):
                    facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    if facts.st_dev != device:
                        raise InfraError(
                            f"{root}: {quoted(level.prefix + name)} is on another file system",
                            hint="unmount it; a btrfs subvolume inside a volume cannot be kept either",
                        )
                    yield fd, level.prefix + name, name, facts
                    if stat.S_ISDIR(facts.st_mode):
                        level.pending.append((name, _identity(facts)))
            if level.pending:
                name, identity = level.pending.pop()
                fd = _moved(root, fd, name, identity)
                levels.append(_Level(f"{level.prefix}{name}/", identity))
            else:
                levels.pop()
                if levels:
                    fd = _moved(root, fd, "..", levels[-1].identity)
    finally:
        os.close(fd)


@dataclass
class _Level:
    prefix: str
    identity: tuple[int, int]
    pending: list[tuple[str, tuple[int, int]]] | None = None
    """Directories still to go down into; None until it was listed."""


def _moved(root: Path, fd: int, name: str, identity: tuple[int, int]) -> int:
    there = os.open(name, _DIRECTORY, dir_fd=fd)
    if _identity(os.fstat(there)) != identity:
        os.close(there)
        raise _changed(root)
    os.close(fd)
    return there


def _opened(root: Path, name: str, directory: int, facts: os.stat_result) -> int:
    fd = os.open(name, _FILE, dir_fd=directory)
    if _identity(os.fstat(fd)) != _identity(facts):
        os.close(fd)
        raise _changed(root)
    return fd


def _changed(root: Path) -> InfraError:
    return InfraError(f"{root} changed while it was read", hint="is a container still using it?")


class _Hashes:
    """Small files at once, large ones in threads: hashing lets go of the interpreter."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._found: dict[str, str | Future[str]] = {}
        self._open: deque[Future[str]] = deque()

    def add(self, path: str, fd: int, size: int, pool: ThreadPoolExecutor) -> None:
        if size <= _INLINE_BYTES:
            self._found[path] = _digest_small(fd, size, self._progress)
            return
        if len(self._open) >= _OPEN_FILES:
            self._open.popleft().result()
        future = pool.submit(_digest, fd, self._progress)
        self._open.append(future)
        self._found[path] = future

    def of(self, path: str) -> str:
        found = self._found.get(path, "")
        return found if isinstance(found, str) else found.result()


def _entries(seen: list[tuple[str, os.stat_result, dict[str, str], str]], hashes: _Hashes) -> list[Entry]:
    seen.sort(key=lambda item: os.fsencode(item[0]))
    names = Counter(_identity(facts) for _, facts, _, _ in seen if facts.st_nlink > 1)
    groups: dict[tuple[int, int], int] = {}
    result = []
    for path, facts, xattrs, target in seen:
        kind = _TYPES[stat.S_IFMT(facts.st_mode)]
        linked = kind != "d" and names[_identity(facts)] > 1
        entry = Entry(
            path=quoted(path),
            type=kind,
            mode=stat.S_IMODE(facts.st_mode),
            uid=facts.st_uid,
            gid=facts.st_gid,
            size=0 if kind == "d" else facts.st_size,
            mtime_ns=facts.st_mtime_ns,
            rdev=facts.st_rdev if kind in "cb" else 0,
            group=groups.setdefault(_identity(facts), len(groups) + 1) if linked else 0,
            xattrs=xattrs,
            target=quoted(target) if target else "",
            sha256=hashes.of(path),
        )
        result.append(entry)
    return result


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _digest(fd: int, progress: Progress | None) -> str:
    with os.fdopen(fd, "rb", buffering=0) as file:
        if progress is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            progress(count)
        return digest.hexdigest()


def _digest_small(fd: int, size: int, progress: Progress | None) -> str:
    """In one read of its size: a big buffer, fresh for each of many small files, costs more than the hash."""
    try:
        digest = hashlib.sha256()
        while data := os.read(fd, size + 1):
            digest.update(data)
            if progress is not None:
                progress(len(data))
        return digest.hexdigest()
    finally:
        os.close(fd)


def _xattrs(path: str) -> dict[str, str]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return {quoted(name): os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(names)}


def _is_unchangeable(fd: int, name: str, facts: os.stat_result) -> bool:
    """Immutable or append-only (chattr +i, +a); False where the file system knows no such thing."""
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        return False
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    if _libc.statx(fd, os.fsencode(name), _AT_SYMLINK_NOFOLLOW, 0, buffer):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return bool(int.from_bytes(buffer.raw[8:16], sys.byteorder) & _UNCHANGEABLE)
