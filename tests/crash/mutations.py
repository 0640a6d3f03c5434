"""Four wrong ways to keep data, put into the running process: a suite that does not see them proves nothing."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base import fs
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.models import Canonical

_fsync = os.fsync
_rename = Path.rename
_commit = CanonicalStore.commit


def _never_synced(is_kind: Callable[[int], bool]) -> None:
    def fsync(fd: int) -> None:
        if not is_kind(os.fstat(fd).st_mode):
            _fsync(fd)

    vars(os)["fsync"] = fsync


def no_data_sync() -> None:
    """Files are never synced, directories are."""
    _never_synced(stat.S_ISREG)
    vars(fs)["sync_file_system"] = lambda _: None


def no_directory_sync() -> None:
    """Directories are never synced, files are."""
    _never_synced(stat.S_ISDIR)


def two_step_rename() -> None:
    """The old file is taken away before the new one gets its name."""

    def rename(path: Path, target: Path) -> Path:
        if Path(target).is_file():
            Path(target).unlink()
        return _rename(path, target)

    Path.rename = rename  # type: ignore[method-assign,assignment]


def delete_old_first() -> None:
    """Room is made before the new one is committed."""

    def commit(store: CanonicalStore, canonical: Canonical) -> list[str]:
        found = store.load(canonical.recipe)
        if found is not None:
            snapshot.discard(store.dir, canonical.recipe, found.snapshot)
        return _commit(store, canonical)

    CanonicalStore.commit = commit  # type: ignore[method-assign,assignment]


@dataclass(frozen=True)
class Mutation:
    apply: Callable[[], None]
    seen_by: tuple[str, ...]
    """Methods that see it. A kill keeps what was not synced; ext4 and xfs forgive what the order of syncs does not."""


MUTATIONS = {
    "no data sync": Mutation(no_data_sync, ("power cut", "order")),
    "two-step rename": Mutation(two_step_rename, ("kill", "order")),
    "old one deleted first": Mutation(delete_old_first, ("kill", "power cut")),
    "no directory sync": Mutation(no_directory_sync, ("power cut", "order")),
}
