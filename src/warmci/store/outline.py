"""What a quick run asks of a snapshot: to hash its manifest is all that takes longer where there are more files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError
from warmci.base.names import volume_name
from warmci.base.state import disk
from warmci.store.manifest import volumes_of
from warmci.store.scan import quoted, scan
from warmci.store.snapshot import NotCommittedError, snapshot_dir

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.models import Canonical

_SMALL_MANIFEST = 2**20
"""Bytes: some five thousand objects."""
LOOKED_AT = 5_000


@dataclass(frozen=True)
class Outline:
    """What a quick run needs to know of a snapshot, whatever its size: its manifest is hashed, not taken apart."""

    volumes: tuple[str, ...]
    is_small: bool
    """Whether to walk through it takes no time."""


def outline(state_dir: Path, canonical: Canonical) -> Outline:
    """Raises InfraError when the manifest cannot be read, NotCommittedError when it is another one."""
    path = snapshot_dir(state_dir, canonical.recipe, canonical.snapshot) / "manifest.json"
    hint = f"warmci canonical fsck {canonical.recipe}"
    try:
        facts = path.stat()
        identity = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
        volumes = _volumes(path, identity, canonical.manifest_sha256)
    except OSError as error:
        raise InfraError(f"{path}: {error.strerror}", hint=hint) from error
    if volumes is None:
        raise NotCommittedError(f"{path} is not the one that was committed", hint=hint)
    return Outline(tuple(volume_name(name) for name in volumes), facts.st_size <= _SMALL_MANIFEST)


@lru_cache(maxsize=2)
def _volumes(path: Path, _identity: tuple[int, ...], sha256: str) -> tuple[str, ...] | None:
    """None where the manifest has another hash. Once in a program as long as it is the same file (_identity)."""
    text = path.read_bytes()
    return tuple(volumes_of(text)) if hashlib.sha256(text).hexdigest() == sha256 else None


def touched(state_dir: Path, canonical: Canonical, since_ns: int) -> list[str]:
    """What of a large snapshot was changed since a moment of this host's clock, among the first objects of it.

    By ctime, which no program can set: a write, a new owner, mode, attribute or name moves it, a mended mtime does
    not hide it. Objects beyond LOOKED_AT are not looked at, and what happened before that moment is not seen.
    """
    home = snapshot_dir(state_dir, canonical.recipe, canonical.snapshot)
    with disk(f"reading {home}"):
        looked_at = [("manifest.json", (home / "manifest.json").stat())]
        looked_at += [(path, facts) for _, path, _, facts in islice(scan(home / "volumes"), LOOKED_AT)]
    changed = [path for path, facts in looked_at if facts.st_ctime_ns >= since_ns]
    return [f"{quoted(path)} was changed during the run" for path in changed]
