"""canonical.json, one per recipe: the commit point, and what may be thrown away by what it names."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from warmci import snapshot
from warmci.errors import InfraError, UsageError, WarmciError
from warmci.fs import fsync_dir, write_json
from warmci.locks import is_alive
from warmci.manifest import load_manifest
from warmci.models import Canonical, Mode
from warmci.names import recipe_name, record_id
from warmci.state import disk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

_FILE = "canonical.json"
_VERSION = 1


class CanonicalStore:
    """The canonicals below one state directory. Writers hold the recipe's app lock; readers need none."""

    def __init__(self, state_dir: Path) -> None:
        self._dir = state_dir

    def load(self, recipe: str) -> Canonical | None:
        """The recipe's canonical; None only where there is no canonical.json. Raises InfraError if unreadable."""
        path = self._path(recipe)
        hint = f"restore it from a backup, or move it away: mv {path} {path}.bad"
        try:
            value = json.loads(path.read_bytes(), object_pairs_hook=_unique, parse_constant=_no_constant)
            version = value.get("schema_version") if isinstance(value, dict) else None
            if type(version) is not int or version != _VERSION:
                raise InfraError(f"{path}: schema version {version!r} is not {_VERSION}", hint=hint)
            found = Canonical.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            first = error.errors(include_input=False)[0]  # the input holds secrets
            field = ".".join(str(part) for part in first["loc"])
            raise InfraError(f"{path}: {field}: {first['msg']}", hint=hint) from None
        except (ValueError, RecursionError):
            raise InfraError(f"{path} is not readable as JSON", hint=hint) from None
        except OSError as error:
            raise InfraError(f"{path}: {error.strerror}", hint=hint) from error
        if found.recipe != recipe:
            raise InfraError(f"{path} is the canonical of {found.recipe}", hint=hint)
        return found

    def commit(self, canonical: Canonical) -> list[str]:
        """Make this the recipe's canonical, by one durable rename, and drop the snapshot before it.

        Returns warnings about the old snapshot. Raises InfraError when the new one is not there as hashed, or when the
        disk refuses. If it refuses the last sync, the new canonical may stand already: on an error delete nothing
        yourself, collect_garbage knows what is named.
        """
        before = self.load(canonical.recipe)
        manifest = snapshot.snapshot_dir(self._dir, canonical.recipe, canonical.snapshot) / "manifest.json"
        with disk(f"canonical of {canonical.recipe}"):
            if hashlib.sha256(manifest.read_bytes()).hexdigest() != canonical.manifest_sha256:
                raise InfraError(f"{manifest} is not the manifest that was to be committed")
            self._write(canonical)
        if before is None or before.snapshot == canonical.snapshot:
            return []
        return self._discard(canonical.recipe, before.snapshot)

    def mark_dirty(self, recipe: str, reason: str) -> None:
        """Say that the canonical's data is not to be trusted; nothing to do where there is none."""
        self._update(recipe, {"state": "dirty", "reason": reason})

    def note_verdict(self, recipe: str, mode: Mode, text: str) -> None:
        """Keep what the last run of this mode said; nothing to do where there is no canonical."""
        self._update(recipe, {"last_quick" if mode is Mode.QUICK else "last_cold": text})

    def remove(self, recipe: str) -> list[str]:
        """Forget the canonical, then its snapshot; returns warnings about data that is still there."""
        found = self.load(recipe)
        if found is None:
            return []
        with disk(f"canonical of {recipe}"):
            self._path(recipe).unlink()
            fsync_dir(self._dir / recipe)
        return self._discard(recipe, found.snapshot)

    def recipes(self) -> list[str]:
        """Recipes that have a canonical.json, readable or not."""
        return sorted(path.parent.name for path in self._dir.glob(f"[a-z0-9]*/{_FILE}"))

    def collect_garbage(self, recipe: str, *, keep: Collection[str] = ()) -> list[str]:
        """Under the app lock: remove trash, the staging of dead runs and snapshots that canonical.json does not name.

        keep: ids of the caller's own. Returns warnings. Raises InfraError before anything is deleted when
        canonical.json or a manifest is unreadable: what it names is then not known.
        """
        if (self._dir / recipe_name(recipe) / "restore.json").exists():
            return [f"{recipe}: a restore was interrupted, nothing is collected while its restore.json is there"]
        return self.throw_away(recipe, self.garbage(recipe, keep=keep))

    def garbage(self, recipe: str, *, keep: Collection[str] = ()) -> list[Path]:
        """What collect_garbage removes, in an order that frees space before it needs any. Raises InfraError too."""
        home = self._dir / recipe_name(recipe)
        current = self.load(recipe)
        if (home / "restore.json").exists():
            raise InfraError(f"{recipe}: a restore was interrupted", hint="warmci recover")
        named = {*keep, *([current.snapshot] if current else [])}
        unnamed = [path for path in _below(home / "snapshots") if path.name not in named]
        dead = [path for path in _below(home / "staging") if path.name not in keep and not self._owned(path)]
        trash = _below(home / "trash")
        leftovers = [*home.glob(f".{_FILE}.*.tmp")] if home.exists() else []
        if unnamed or dead or trash:
            for path in _below(home / "snapshots"):
                load_manifest(path / "manifest.json")
        return [*leftovers, *trash, *dead, *unnamed]

    def throw_away(self, recipe: str, garbage: Iterable[Path]) -> list[str]:
        """Under the app lock: remove paths that garbage() has just named; returns warnings about what stays."""
        warnings = []
        for path in garbage:
            try:
                if path.parent == self._dir / recipe_name(recipe) / "snapshots":
                    snapshot.discard(self._dir, recipe, path.name)
                else:
                    snapshot.remove(path)
            except WarmciError as error:
                warnings.append(f"{path} is still there: {error.message}")
        return warnings

    def _owned(self, staging: Path) -> bool:
        """Whether a live run works in it; without an owner on record, its own id may be that of the run."""
        try:
            run = (staging / "run").read_text(encoding="utf-8").strip()
        except OSError:
            run = staging.name
        try:
            return is_alive(self._dir, record_id(run))
        except UsageError:
            return False

    def _discard(self, recipe: str, snapshot_id: str) -> list[str]:
        try:
            snapshot.discard(self._dir, recipe, snapshot_id)
        except WarmciError as error:
            return [f"snapshot {snapshot_id} of {recipe} is still there: {error.message}"]
        return []

    def _update(self, recipe: str, changes: dict[str, Any]) -> None:
        found = self.load(recipe)
        if found is not None:
            with disk(f"canonical of {recipe}"):
                self._write(found.model_copy(update=changes))

    def _write(self, canonical: Canonical) -> None:
        write_json(self._path(canonical.recipe), canonical.model_dump(mode="json"))

    def _path(self, recipe: str) -> Path:
        return self._dir / recipe_name(recipe) / _FILE


def _below(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
