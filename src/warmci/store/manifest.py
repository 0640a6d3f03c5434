"""What a snapshot is, entry by entry, in manifest.json; and what of it a tree does not have."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from warmci.base.errors import InfraError
from warmci.base.models import Record, VolumeSummary
from warmci.base.state import disk
from warmci.store.scan import quoted
from warmci.store.tree import Entry, walk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from warmci.store.tree import Progress


_ROOT = b':[[".","d",'


class SnapshotManifest(Record):
    """manifest.json; its bytes are `text()`, so `sha256sum manifest.json` is the snapshot's hash."""

    schema_version: Literal[1] = 1
    id: str
    recipe: str
    created: datetime
    volumes: dict[str, tuple[Entry, ...]]

    def text(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        # Entries are JSON lists as they stand; pydantic would go through them all once more.
        value = {**self.model_dump(mode="json", exclude={"volumes"}), "volumes": self.volumes}
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
    """Without validation: what a walk has found is of its types."""
    now = datetime.now(UTC)
    return SnapshotManifest.model_construct(id=snapshot_id, recipe=recipe, created=now, volumes=volumes)


def load_manifest(path: Path) -> SnapshotManifest:
    """Read manifest.json. Raises InfraError when it is missing, unparsable or of an unknown version."""
    hint = f"restore it from a backup, or remove {path.parent} and: run_recipe_ci.py {path.parents[2].name} --reseed"
    try:
        return SnapshotManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise InfraError(f"{path}: {field}: {first['msg']}", hint=hint) from error
    except OSError as error:
        raise InfraError(f"{path}: {error.strerror}", hint=hint) from error


def volumes_of(text: bytes) -> list[str]:
    """The volumes of a manifest's text, which its hash has proved to be ours; not of any other.

    To take it apart takes seconds where files are many. A volume begins with its root, and no string that we write
    holds a quotation mark: paths and names are percent-encoded, all else are digits.
    """
    found, at = [], text.find(_ROOT)
    while at >= 0:
        found.append(text[text.rindex(b'"', 0, at - 1) + 1 : at - 1].decode())
        at = text.find(_ROOT, at + 1)
    return sorted(found)


def compare(manifest: SnapshotManifest, tree: Path, *, read_data: bool, progress: Progress | None = None) -> list[str]:
    """Differences of the volumes directory `tree` from the manifest, one line each; read_data also hashes files."""
    found = compare_names(manifest, tree)
    for name in sorted(manifest.volumes.keys() & _names(tree)):
        expected = manifest.volumes[name]
        wrong = compare_volume(expected, tree / name, read_data=read_data, progress=progress)
        found += [f"{name}: {line}" for line in wrong]
    return found


def compare_names(manifest: SnapshotManifest, tree: Path) -> list[str]:
    """Volumes that are missing in the volumes directory `tree`, or too many, one line each."""
    present = _names(tree)
    found = [f"{name}: volume is missing" for name in sorted(manifest.volumes.keys() - present)]
    return found + [
        f"{quoted(name)}: volume is not in the manifest" for name in sorted(present - manifest.volumes.keys())
    ]


def _names(tree: Path) -> set[str]:
    """Whatever they name, a link to nowhere included."""
    with disk(f"reading {tree}"):
        return {path.name for path in tree.iterdir()}


def compare_volume(
    expected: Sequence[Entry], root: Path, *, read_data: bool, progress: Progress | None = None, threads: int = 2
) -> list[str]:
    """Differences of one volume's tree from its entries, one line each; threads as in a walk."""
    actual = walk(root, read_data=read_data, progress=progress, threads=threads)
    return _differences(expected if read_data else [entry._replace(sha256="") for entry in expected], actual)


def _differences(expected: Sequence[Entry], actual: Sequence[Entry]) -> list[str]:
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
