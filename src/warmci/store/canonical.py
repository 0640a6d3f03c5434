"""canonical.json, one per recipe: the commit point, and what may be thrown away by what it names."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from warmci.base.errors import InfraError, UsageError
from warmci.base.fs import fsync_dir, write_json
from warmci.base.interrupts import shielded
from warmci.base.models import Canonical, Mode
from warmci.base.names import new_id, recipe_name, record_id
from warmci.base.run_locks import is_alive
from warmci.base.state import disk, recipe_home
from warmci.store import outline, snapshot
from warmci.store.manifest import load_manifest
from warmci.store.restore_journal import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

_FILE = "canonical.json"
VERSION = 1


_LOST = (errno.ENOENT, errno.ENOTDIR, errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.ELOOP, errno.EISDIR)
"""What a disk says of data that is gone for good; anything else may pass, and says nothing about the data."""


class _StrangerError(InfraError):
    """Another recipe's canonical in this one's place."""


class CanonicalStore:
    """The canonicals below one state directory. Writers hold the recipe's app lock; readers need none."""

    def __init__(self, state_dir: Path) -> None:
        self.dir = state_dir

    def load(self, recipe: str) -> Canonical | None:
        """The recipe's canonical; None only where there is no canonical.json. Raises InfraError if unreadable."""
        path = self._path(recipe)
        hint = f"warmci canonical fsck {recipe}"
        try:
            value = json.loads(path.read_bytes(), object_pairs_hook=_unique, parse_constant=_no_constant)
            version = value.get("schema_version") if isinstance(value, dict) else None
            if type(version) is not int or version != VERSION:
                raise InfraError(f"{path}: schema version {version!r} is not {VERSION}", hint=hint)
            found = Canonical.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            if path.is_symlink():
                raise InfraError(f"{path} is a link to nowhere", hint=hint) from None
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
            raise _StrangerError(f"{path} is the canonical of {found.recipe}", hint=hint)
        return found

    def commit(self, canonical: Canonical) -> list[str]:
        """Make this the recipe's canonical, by one durable rename, and drop the snapshot before it.

        Returns warnings about the old snapshot. Raises InfraError when the new one is not there as hashed, or when the
        disk refuses. If it refuses the last sync, the new canonical may stand already: on an error delete nothing
        yourself, collect_garbage knows what is named.
        """
        before = self.load(canonical.recipe)
        manifest = snapshot.snapshot_dir(self.dir, canonical.recipe, canonical.snapshot) / "manifest.json"
        with shielded(f"snapshot {canonical.snapshot} is the canonical of {canonical.recipe} now"):
            with disk(f"canonical of {canonical.recipe}"):
                if hashlib.sha256(manifest.read_bytes()).hexdigest() != canonical.manifest_sha256:
                    raise InfraError(f"{manifest} is not the manifest that was to be committed")
                self._write_entry(canonical)
                self._write(canonical)
            if before is None or before.snapshot == canonical.snapshot:
                return []
            return self._discard(canonical.recipe, before.snapshot)

    def mark_dirty(self, recipe: str, reason: str) -> None:
        """Say that the canonical's data is not to be trusted; nothing to do where there is none."""
        self._update(recipe, {"state": "dirty", "reason": reason}, with_entry=True)

    def note_verdict(self, recipe: str, mode: Mode, text: str) -> None:
        """Keep what the last run of this mode said; nothing to do where there is no canonical."""
        self._update(recipe, {"last_quick" if mode is Mode.QUICK else "last_cold": text})

    def damage(self, canonical: Canonical, *, read_data: bool | None = None, since_ns: int = 0) -> list[str]:
        """What is wrong with the canonical's snapshot, one line each.

        None looks at its manifest alone, False at sizes and times as well, True at every byte; since_ns, instead, at
        what was changed since then (outline.touched). Raises InfraError for what may pass and says nothing about the
        data: no descriptors left, no permission.
        """
        try:
            if since_ns:
                return outline.touched(self.dir, canonical, since_ns)
            if read_data is None:
                outline.outline(self.dir, canonical)
                return []
            snapshot.load_committed(self.dir, canonical)
            return snapshot.verify(self.dir, canonical.recipe, canonical.snapshot, read_data=read_data)
        except InfraError as error:
            cause = error.__cause__
            lost = isinstance(cause, OSError) and cause.errno in _LOST
            if lost or isinstance(cause, ValidationError) or isinstance(error, snapshot.NotCommittedError):
                return [error.message]
            raise

    def remove(self, recipe: str) -> list[str]:
        """Forget the canonical, then throw away its snapshot; returns warnings about data that is still there.

        What an unreadable one named is not known, so every snapshot of the recipe goes with it.
        """
        home = recipe_home(self.dir, recipe)
        try:
            found = self.load(recipe)
            doomed = [found.snapshot] if found else []
        except InfraError as error:
            if isinstance(error, _StrangerError):
                raise
            found, doomed = None, [path.name for path in _below(home / "snapshots")]
        with disk(f"canonical of {recipe}"):
            for path in (*home.glob(f"{_FILE}.unreadable-*"), self._path(recipe)):
                path.unlink(missing_ok=True)  # all hold secrets; the one that counts goes last
            if home.is_dir():
                fsync_dir(home)
        return [line for snapshot_id in doomed for line in self._discard(recipe, snapshot_id)]

    def rebuild(self, canonical: Canonical) -> Path:
        """Put an entry in the place of an unreadable canonical.json; returns where the unreadable one is kept."""
        path = self._path(canonical.recipe)
        kept = path.with_name(f"{_FILE}.unreadable-{new_id()}")
        with disk(f"canonical of {canonical.recipe}"):
            # A second name, not a move: at no instant is there no canonical.json.
            kept.hardlink_to(path)
            fsync_dir(path.parent)
            self._write(canonical)
        return kept

    def entry_of(self, recipe: str, snapshot_id: str) -> Canonical | None:
        """The entry that committed a snapshot, as kept beside it; None where there is none that fits."""
        home = snapshot.snapshot_dir(self.dir, recipe, snapshot_id)
        try:
            found = Canonical.model_validate_json((home / _FILE).read_bytes())
        except (OSError, ValidationError):
            return None
        return found if (found.recipe, found.snapshot) == (recipe, snapshot_id) else None

    def recipes(self) -> list[str]:
        """Recipes that have a canonical.json, readable or not."""
        return [name for name in self.homes() if os.path.lexists(self.dir / name / _FILE)]

    def homes(self) -> list[str]:
        """Recipes that have anything here, a canonical.json or only leftovers."""
        found = (path for path in _below(self.dir) if path.is_dir() and not path.is_symlink())
        return [path.name for path in found if _is(recipe_name, path.name)]

    def strange(self) -> list[Path]:
        """What lies among the recipes and their snapshots and is neither; nothing touches it."""
        homes = set(self.homes())
        odd = [path for path in _below(self.dir) if path.name not in homes and not path.name.startswith(".")]
        for recipe in sorted(homes):
            known = set(self.snapshots(recipe))
            odd += [path for path in _below(self.dir / recipe / "snapshots") if path.name not in known]
        return odd

    def snapshots(self, recipe: str) -> list[str]:
        """Ids of the recipe's snapshots on disk, oldest first."""
        found = _below(recipe_home(self.dir, recipe) / "snapshots")
        return [path.name for path in found if path.is_dir() and not path.is_symlink() and _is(record_id, path.name)]

    def garbage(self, recipe: str, *, keep: Collection[str] = ()) -> list[Path]:
        """Trash, staging of dead runs, snapshots that canonical.json does not name; what frees space first, first.

        keep: ids of the caller's own. Raises InfraError when canonical.json or a manifest is unreadable, or a restore
        was interrupted: what is needed is then not known.
        """
        home = recipe_home(self.dir, recipe)
        current = self.load(recipe)
        if (home / JOURNAL).exists():
            raise InfraError(f"{recipe}: a restore was interrupted", hint="warmci recover")
        named = {*keep, *([current.snapshot] if current else [])}
        there = [home / "snapshots" / name for name in self.snapshots(recipe)]
        unnamed = [path for path in there if path.name not in named]
        dead = [path for path in _below(home / "staging") if path.name not in keep and not self._owned(path)]
        trash = _below(home / "trash")
        unborn = ".*.json.*.tmp"  # with the secrets of the canonical.json that it was to become
        leftovers = [path for place in (home, *there) for path in sorted(place.glob(unborn))]
        if unnamed or dead or trash:
            for path in there:
                load_manifest(path / "manifest.json")
        return [*leftovers, *trash, *dead, *unnamed]

    def collect_garbage(self, recipe: str, *, keep: Collection[str] = ()) -> list[str]:
        """Under the app lock: throw away the garbage. Returns warnings; raises before anything is deleted."""
        if (recipe_home(self.dir, recipe) / JOURNAL).exists():
            return [f"{recipe}: a restore was interrupted, nothing is collected while its {JOURNAL} is there"]
        return self.throw_away(recipe, self.garbage(recipe, keep=keep))

    def throw_away(self, recipe: str, garbage: Iterable[Path]) -> list[str]:
        """Under the app lock: remove paths that garbage() has just named; returns warnings about what stays."""
        warnings = []
        for path in garbage:
            try:
                if path.parent == recipe_home(self.dir, recipe) / "snapshots":
                    snapshot.discard(self.dir, recipe, path.name)
                else:
                    snapshot.remove(path)
            except (InfraError, UsageError) as error:
                warnings.append(f"{path} is still there: {error.message}")
        return warnings

    def _owned(self, staging: Path) -> bool:
        """Whether a live run works in it; without an owner on record, its own id may be that of the run."""
        try:
            run = (staging / "run").read_text(encoding="utf-8").strip()
        except OSError:
            run = staging.name
        try:
            return is_alive(self.dir, record_id(run))
        except UsageError:
            return False

    def _discard(self, recipe: str, snapshot_id: str) -> list[str]:
        try:
            snapshot.discard(self.dir, recipe, snapshot_id)
        except (InfraError, UsageError) as error:
            return [f"snapshot {snapshot_id} of {recipe} is still there: {error.message}"]
        return []

    def _update(self, recipe: str, changes: dict[str, Any], *, with_entry: bool = False) -> None:
        found = self.load(recipe)
        if found is None:
            return
        changed = found.model_copy(update=changes)
        with disk(f"canonical of {recipe}"):
            self._write(changed)
            if with_entry and snapshot.snapshot_dir(self.dir, recipe, found.snapshot).is_dir():
                self._write_entry(changed)

    def _write_entry(self, canonical: Canonical) -> None:
        """Beside its snapshot. Not a second truth: fsck rebuilds an unreadable canonical.json from it."""
        home = snapshot.snapshot_dir(self.dir, canonical.recipe, canonical.snapshot)
        write_json(home / _FILE, canonical.model_dump(mode="json"))

    def _write(self, canonical: Canonical) -> None:
        write_json(self._path(canonical.recipe), canonical.model_dump(mode="json"))

    def _path(self, recipe: str) -> Path:
        return recipe_home(self.dir, recipe) / _FILE


def _is(checked: Callable[[str], str], name: str) -> bool:
    try:
        return checked(name) == name
    except UsageError:
        return False


def _below(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
