"""Snapshots on disk, and which of them the canonicals name."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, UsageError
from warmci.base.models import Record, VolumeSummary
from warmci.store import snapshot
from warmci.store.manifest import load_manifest

if TYPE_CHECKING:
    from warmci.store.canonical import CanonicalStore


class SnapshotInfo(Record):
    recipe: str
    id: str
    path: str
    canonical: bool | None
    """Whether the recipe's canonical is on it; None when canonical.json is not readable."""
    created: datetime | None = None
    manifest_sha256: str = ""
    volumes: tuple[VolumeSummary, ...] = ()
    problem: str = ""

    @property
    def files(self) -> int:
        return sum(volume.files for volume in self.volumes)

    @property
    def bytes(self) -> int:
        return sum(volume.bytes for volume in self.volumes)


def list_snapshots(store: CanonicalStore, recipe: str) -> list[SnapshotInfo]:
    """Every snapshot of a recipe, whatever state it is in."""
    return [describe_snapshot(store, recipe, name) for name in store.snapshots(recipe)]


def describe_snapshot(store: CanonicalStore, recipe: str, snapshot_id: str) -> SnapshotInfo:
    """Raises UsageError for an id that is not there."""
    path = snapshot.snapshot_dir(store.dir, recipe, snapshot_id)
    if not path.is_dir():
        raise UsageError(f"there is no snapshot {snapshot_id} of {recipe}", hint="warmci snapshot list")
    problems = []
    canonical = None
    try:
        current = store.load(recipe)
        canonical = current is not None and current.snapshot == snapshot_id
    except InfraError as error:
        problems.append(error.message)
    info = SnapshotInfo(recipe=recipe, id=snapshot_id, path=str(path), canonical=canonical)
    try:
        manifest = load_manifest(path / "manifest.json")
        found = {"created": manifest.created, "manifest_sha256": manifest.sha256, "volumes": manifest.summary()}
        info = info.model_copy(update=found)
    except InfraError as error:
        problems.append(error.message)
    return info.model_copy(update={"problem": "; ".join(problems)})
