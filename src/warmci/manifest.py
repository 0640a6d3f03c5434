"""What a snapshot is, entry by entry: walked without following links, hashed, compared."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote_from_bytes

from pydantic import ValidationError

from warmci.errors import InfraError
from warmci.models import Record, VolumeSummary
from warmci.state import disk

if TYPE_CHECKING:
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_INLINE_BYTES = 2**18
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


class Seen(NamedTuple):
    """An entry and what betrays a writer, though it is no part of a copy."""

    entry: Entry
    inode: int
    ctime_ns: int
    blocks: int
    """Allocated, in units of 512 bytes."""


class SnapshotManifest(Record):
    """manifest.json; its bytes are `text()`, so `sha256sum manifest.json` is the snapshot's hash."""

    schema_version: Literal[1] = 1
    id: str
    recipe: str
    created: datetime
    volumes: dict[str, tuple[Entry, ...]]

    def text(self) -> str:
        value = self.model_dump(mode="json")
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text().encode()).hexdigest()

    def summary(self) -> tuple[VolumeSummary, ...]:
        return tuple(
            VolumeSummary(
                name=name,
                files=sum(entry.type != "d" for entry in entries),
                bytes=sum(entry.size for entry in entries),
            )
            for name, entries in sorted(self.volumes.items())
        )


def new_manifest(recipe: str, snapshot_id: str, volumes: dict[str, tuple[Entry, ...]]) -> SnapshotManifest:
    return SnapshotManifest(id=snapshot_id, recipe=recipe, created=datetime.now(UTC), volumes=volumes)


def load_manifest(path: Path) -> SnapshotManifest:
    """Read manifest.json. Raises InfraError when it is missing, unparsable or of an unknown version."""
    hint = f"restore it from a backup, or remove {path.parent} and: run_recipe_ci.py RECIPE --reseed"
    try:
        return SnapshotManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise InfraError(f"{path}: {field}: {first['msg']}", hint=hint) from error
    except OSError as error:
        raise InfraError(f"{path}: {error.strerror}", hint=hint) from error


def compare(manifest: SnapshotManifest, tree: Path, *, read_data: bool) -> list[str]:
    """Differences of the volumes directory `tree` from the manifest, one line each; read_data also hashes files."""
    with disk(f"reading {tree}"):
        present = {path.name for path in tree.iterdir()}
    found = [f"{name}: volume is missing" for name in sorted(manifest.volumes.keys() - present)]
    found += [f"{quoted(name)}: volume is not in the manifest" for name in sorted(present - manifest.volumes.keys())]
    for name in sorted(manifest.volumes.keys() & present):
        actual = [seen.entry for seen in walk(tree / name, read_data=read_data)]
        expected = manifest.volumes[name]
        if not read_data:
            expected = tuple(entry._replace(sha256="") for entry in expected)
        found += [f"{name}: {line}" for line in _differences(expected, actual)]
    return found


def _differences(expected: tuple[Entry, ...], actual: list[Entry]) -> list[str]:
    was = {entry.path: entry for entry in expected}
    now = {entry.path: entry for entry in actual}
    lines = [f"{path} is missing" for path in was if path not in now]
    lines += [f"{path} is not in the manifest" for path in now if path not in was]
    for path in was.keys() & now.keys():
        for field, before, after in zip(Entry._fields, was[path], now[path], strict=True):
            if before != after:
                shown = (f"{before:04o}", f"{after:04o}") if field == "mode" else (before, after)
                lines.append(f"{path}: {field} is {shown[1]}, was {shown[0]}")
    return sorted(lines)


def quoted(name: str) -> str:
    """A name as printable ASCII, whatever bytes it has; reversible by urllib.parse.unquote_to_bytes."""
    return quote_from_bytes(os.fsencode(name), safe=_SAFE)


def walk(root: Path, *, read_data: bool) -> list[Seen]:
    """Every object at and below root, in the order of its path; never follows a link, never blocks on a fifo.

    One descriptor per level would end at a thousand levels, recursion too: it goes up by `..` and checks where it is.
    Raises InfraError when the tree changes under the walk or has something mounted in it.
    """
    with disk(f"reading {root}"), ThreadPoolExecutor(2) as pool:
        return _Walk(root, pool if read_data else None).run()


@dataclass(frozen=True)
class _Level:
    prefix: str
    identity: tuple[int, int]
    pending: list[tuple[str, tuple[int, int]]]


class _Walk:
    def __init__(self, root: Path, pool: ThreadPoolExecutor | None) -> None:
        self._root = root
        self._pool = pool
        self._seen: list[tuple[str, os.stat_result, dict[str, str], str]] = []
        self._hashes: dict[str, str | Future[str]] = {}
        self._open: list[Future[str]] = []

    def run(self) -> list[Seen]:
        fd = os.open(self._root, _DIRECTORY)
        try:
            facts = os.fstat(fd)
            self._device = facts.st_dev
            self._seen.append((".", facts, _xattrs(f"/proc/self/fd/{fd}/."), ""))
            levels = [_Level("", _identity(facts), self._list(fd, ""))]
            while levels:
                if levels[-1].pending:
                    name, identity = levels[-1].pending.pop()
                    fd = self._move(fd, name, identity)
                    prefix = f"{levels[-1].prefix}{name}/"
                    levels.append(_Level(prefix, identity, self._list(fd, prefix)))
                else:
                    levels.pop()
                    if levels:
                        fd = self._move(fd, "..", levels[-1].identity)
        finally:
            os.close(fd)
        return self._finished()

    def _move(self, fd: int, name: str, identity: tuple[int, int]) -> int:
        there = os.open(name, _DIRECTORY, dir_fd=fd)
        if _identity(os.fstat(there)) != identity:
            os.close(there)
            raise InfraError(f"{self._root} changed while it was read", hint="is a container still using it?")
        os.close(fd)
        return there

    def _list(self, fd: int, prefix: str) -> list[tuple[str, tuple[int, int]]]:
        below = []
        for name in os.listdir(fd):
            facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
            path = prefix + name
            if facts.st_dev != self._device:
                raise InfraError(f"{self._root}: {quoted(path)} is on another file system", hint="unmount it")
            target = os.readlink(name, dir_fd=fd) if stat.S_ISLNK(facts.st_mode) else ""
            self._seen.append((path, facts, _xattrs(f"/proc/self/fd/{fd}/{name}"), target))
            if stat.S_ISDIR(facts.st_mode):
                below.append((name, _identity(facts)))
            elif stat.S_ISREG(facts.st_mode) and self._pool:
                self._hashes[path] = self._hash(os.open(name, _FILE, dir_fd=fd), facts, self._pool)
        return below

    def _hash(self, fd: int, facts: os.stat_result, pool: ThreadPoolExecutor) -> str | Future[str]:
        if _identity(os.fstat(fd)) != _identity(facts):
            os.close(fd)
            raise InfraError(f"{self._root} changed while it was read", hint="is a container still using it?")
        if facts.st_size <= _INLINE_BYTES:
            return _digest(fd)
        if len(self._open) >= _OPEN_FILES:
            self._open.pop(0).result()
        self._open.append(pool.submit(_digest, fd))
        return self._open[-1]

    def _finished(self) -> list[Seen]:
        self._seen.sort(key=lambda item: os.fsencode(item[0]))
        names = Counter(_identity(facts) for _, facts, _, _ in self._seen if facts.st_nlink > 1)
        groups: dict[tuple[int, int], int] = {}
        result = []
        for path, facts, xattrs, target in self._seen:
            kind = _TYPES[stat.S_IFMT(facts.st_mode)]
            linked = kind != "d" and names[_identity(facts)] > 1
            digest = self._hashes.get(path, "")
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
                target=quoted(target),
                sha256=digest if isinstance(digest, str) else digest.result(),
            )
            result.append(Seen(entry, facts.st_ino, facts.st_ctime_ns, facts.st_blocks))
        return result


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _digest(fd: int) -> str:
    with os.fdopen(fd, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _xattrs(path: str) -> dict[str, str]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return {quoted(name): os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(names)}
