"""Snapshots: staged, proven quiet, hashed, made durable, and only then given their name by one rename."""

from __future__ import annotations

import errno
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from warmci.base import fs, process
from warmci.base.errors import InfraError
from warmci.base.models import VolumeSummary
from warmci.base.names import record_id, volume_name
from warmci.base.state import disk, recipe_home
from warmci.store.copying import check_room, copy_volumes, copying, would_clone
from warmci.store.manifest import SnapshotManifest, compare, compare_volume, load_manifest, new_manifest
from warmci.store.quiesce import refuse_mounted
from warmci.store.scan import Mark, betrayed, marks, quoted
from warmci.store.tree import THREADS, Entry, walk, walk_marked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from warmci.base.models import Canonical
    from warmci.store.tree import Progress


class NotCommittedError(InfraError):
    """A manifest that is not the one whose hash the canonical has."""


COPY_ONLY = "copy-only"
"""File in a snapshot whose data an overlay would not show as it is; its text says why."""
_REMOVE_TIMEOUT_S = 900.0
_SHRUNK = 10


def snapshot_dir(state_dir: Path, recipe: str, snapshot_id: str) -> Path:
    return recipe_home(state_dir, recipe) / "snapshots" / record_id(snapshot_id)


def stage(state_dir: Path, recipe: str, snapshot_id: str, *, run: str = "") -> Path:
    """Make <recipe>/staging/<id>/volumes, all 0700, and return <recipe>/staging/<id>.

    run: whose staging it is; garbage collection keeps it while that run lives. It appears complete, by one rename.
    """
    home = recipe_home(state_dir, recipe)
    target = home / "staging" / record_id(snapshot_id)
    unborn = target.with_name(f".{target.name}")
    with disk(f"staging {target}"):
        for directory in (home, target.parent):
            directory.mkdir(mode=0o700, exist_ok=True)
        unborn.mkdir(mode=0o700)
        (unborn / "volumes").mkdir(mode=0o700)
        if run:
            (unborn / "run").write_text(f"{record_id(run)}\n", encoding="utf-8")
        unborn.rename(target)
    return target


def make_volume(staging: Path, volume: str) -> Path:
    """An empty volume as the engine makes them: 0755, root."""
    path = staging / "volumes" / volume_name(volume)
    with disk(f"volume {path}"):
        path.mkdir()
        path.chmod(0o755)  # past the umask
    return path


def finish(staging: Path, *, allow_empty: bool = False) -> SnapshotManifest:
    """Turn <recipe>/staging/<id> into <recipe>/snapshots/<id>, complete and durable, and return its manifest.

    Raises InfraError when somebody has it mounted or writes to it, when it is empty, or when the disk fails; what was
    staged is then still staging, which is garbage by definition. A failed sync is never tried again: the kernel has
    already forgotten what it could not write.
    """
    refuse_mounted(staging)
    volumes = staging / "volumes"
    with disk(f"snapshot {staging.name}"):
        names = sorted(volume_name(path.name) for path in volumes.iterdir())
    with disk(f"snapshot {staging.name}"), fs.opened(staging) as fd:
        walked = {name: walk_marked(volumes / name) for name in names}
        entries = {name: found for name, (found, _) in walked.items()}
        before = {name: seen for name, (_, seen) in walked.items()}
        if not allow_empty:
            _refuse_empty(staging, entries)
        manifest = _manifest_of(staging, entries)
        return _seal(staging, fd, manifest, lambda: refuse_writer({name: volumes / name for name in names}, before))


def save_volumes(
    staging: Path,
    sources: Mapping[str, Path],
    before: Mapping[str, Mapping[str, Mark]],
    *,
    allow_empty: bool = False,
    refuse_use: Callable[[], None] = lambda: None,
    pass_fds: Sequence[int] = (),
    progress: Progress | None = None,
) -> SnapshotManifest:
    """Copy volumes that stay where they are into a fresh staging, and finish it as a snapshot of them.

    before: marks of the sources, taken when nobody used them; refuse_use raises when somebody does now. The sources
    are hashed while cp copies them, and looked at again at the end: what was written meanwhile is in neither. The copy
    must then be the same in everything but data, which cp answers for; `warmci snapshot verify --read-data` reads it.
    """
    check_room(staging, before.values())
    entries: dict[str, list[Entry]] = {}

    def compare_copies() -> None:
        for name, saved in entries.items():
            if wrong := compare_volume(saved, staging / "volumes" / name, read_data=False):
                raise InfraError(f"the copy of {name} differs: {wrong[0]}", hint="who still writes to it?")

    def still_quiet() -> None:
        for source in sources.values():
            refuse_mounted(source)
        refuse_use()
        refuse_writer(sources, before)

    with disk(f"snapshot {staging.name}"), fs.opened(staging) as fd:
        manifest = _manifest_of(staging, entries)
        for name, source in sorted(sources.items()):
            refuse_mounted(source)
            with copying(source, staging / "volumes" / volume_name(name), pass_fds=pass_fds, progress=progress):
                threads = THREADS if would_clone(source, staging / "volumes") else 1
                entries[name] = walk(source, read_data=True, threads=threads)
                if len(entries) == len(sources):
                    manifest = _manifest_of(staging, entries)  # while cp is still at it
        if not allow_empty:
            _refuse_empty(staging, entries)
        return _seal(staging, fd, manifest, still_quiet, while_syncing=compare_copies)


def _manifest_of(staging: Path, entries: Mapping[str, Sequence[Entry]]) -> SnapshotManifest:
    """With its text, which takes as long as its hashes where files are small."""
    volumes = {name: tuple(items) for name, items in entries.items()}
    manifest = new_manifest(staging.parent.parent.name, staging.name, volumes)
    manifest.text()
    return manifest


def _seal(
    staging: Path,
    fd: int,
    manifest: SnapshotManifest,
    still_quiet: Callable[[], None],
    *,
    while_syncing: Callable[[], None] = lambda: None,
) -> SnapshotManifest:
    """Durable, then proved quiet, then named. fd: staging's, opened before anything was written."""
    home = staging.parent.parent
    with disk(f"snapshot {staging.name}"):
        if reason := _overlay_problem(manifest):
            (staging / COPY_ONLY).write_text(reason + "\n", encoding="utf-8")
        with ThreadPoolExecutor(1) as pool:
            syncing = pool.submit(fs.sync_file_system, fd)
            while_syncing()
            syncing.result()
        still_quiet()
        fs.write_atomic(staging / "manifest.json", manifest.text())
        snapshots = home / "snapshots"
        if not snapshots.exists():
            snapshots.mkdir(mode=0o700)
            fs.fsync_dir(home)
            fs.fsync_dir(home.parent)
        fs.rename_durable(staging, snapshots / staging.name)
    return manifest


def shrunk(was: Sequence[VolumeSummary], now: Sequence[VolumeSummary]) -> list[str]:
    """Volumes that lost nine tenths of their files or bytes, one line each: that is no use, that is a loss."""
    by_name = {volume.name: volume for volume in now}
    found = []
    for old in was:
        new = by_name.get(old.name, VolumeSummary(name=old.name, files=0, bytes=0))
        if new.files * _SHRUNK < old.files or new.bytes * _SHRUNK < old.bytes:
            before = f"its snapshot {old.files}, {old.bytes}"
            found.append(f"volume {old.name} has {new.files} files, {new.bytes} bytes; {before}")
    return found


def load_committed(state_dir: Path, canonical: Canonical) -> SnapshotManifest:
    """The manifest that the canonical was committed with. Raises InfraError when there is another in its place."""
    path = snapshot_dir(state_dir, canonical.recipe, canonical.snapshot) / "manifest.json"
    manifest = load_manifest(path)
    with disk(f"snapshot {canonical.snapshot}"):
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    named = (manifest.recipe, manifest.id) == (canonical.recipe, canonical.snapshot)
    if sha256 != canonical.manifest_sha256 or not named:
        hint = f"warmci canonical fsck {canonical.recipe}"
        raise NotCommittedError(f"{path} is not the one that was committed", hint=hint)
    for name in manifest.volumes:
        volume_name(name)  # they become paths
    return manifest


def copy_from(snapshot: Path, staging: Path, *, pass_fds: Sequence[int] = ()) -> None:
    """Copy all volumes of a snapshot into a fresh staging, and prove the copy against the snapshot's manifest."""
    manifest = load_manifest(snapshot / "manifest.json")
    copy_volumes(snapshot / "volumes", staging / "volumes", sorted(manifest.volumes), pass_fds=pass_fds)
    if wrong := compare(manifest, staging / "volumes", read_data=True):
        raise InfraError(
            f"copy of snapshot {snapshot.name} differs in {len(wrong)} places: {wrong[0]}",
            hint=f"warmci snapshot verify {manifest.recipe} --read-data",
        )


def verify(
    state_dir: Path, recipe: str, snapshot_id: str, *, read_data: bool = True, progress: Progress | None = None
) -> list[str]:
    """What is wrong with a snapshot, one line each; nothing found is []. read_data=False trusts sizes and times."""
    path = snapshot_dir(state_dir, recipe, snapshot_id)
    manifest = load_manifest(path / "manifest.json")
    wrong = compare(manifest, path / "volumes", read_data=read_data, progress=progress)
    if (manifest.recipe, manifest.id) != (recipe, snapshot_id):
        wrong.insert(0, f"manifest is that of {manifest.recipe} {manifest.id}")
    return wrong


def discard(state_dir: Path, recipe: str, snapshot_id: str) -> None:
    """Remove a snapshot: first its name, durably, then its data."""
    path = snapshot_dir(state_dir, recipe, snapshot_id)
    refuse_mounted(path)
    with disk(f"discarding snapshot {snapshot_id}"):
        trash = _trash(path.parent.parent)
        if path.exists():  # else killed between this and the removal
            remove(trash / snapshot_id)
            fs.rename_durable(path, trash / snapshot_id)
    remove(trash / snapshot_id)


def _trash(home: Path) -> Path:
    """Where what is thrown away goes first. A full disk has no room for a new directory; staging is garbage as well."""
    trash, staging = home / "trash", home / "staging"
    try:
        trash.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT} and staging.is_dir():
            return staging
        raise
    return trash


def remove(tree: Path) -> None:
    """Delete a tree of any depth, never through a link or into a mount; absent is fine.

    By rm(1), which goes down by descriptors; a recursion of our own would end at a thousand levels.
    """
    with disk(f"removal of {tree}"):
        if tree.is_symlink():
            tree.unlink()
        if not tree.exists():
            return
        refuse_mounted(tree)
    command = ["rm", "-rf", "--one-file-system", "--", str(tree)]
    if process.run(command, timeout_s=_REMOVE_TIMEOUT_S, check=False).returncode:
        # Files made immutable withstand rm; nothing else is known to.
        process.run(["chattr", "-R", "-f", "-i", "-a", "--", str(tree)], timeout_s=_REMOVE_TIMEOUT_S, check=False)
        process.run(command, timeout_s=_REMOVE_TIMEOUT_S)


def _refuse_empty(staging: Path, entries: Mapping[str, Sequence[Entry]]) -> None:
    if not any(entry.type != "d" for items in entries.values() for entry in items):
        raise InfraError(f"snapshot {staging.name} holds no file", hint="did the app write to its volumes at all?")


def _overlay_problem(manifest: SnapshotManifest) -> str:
    """An overlay takes these for its own marks (kernel documentation, overlayfs: whiteouts and opaque directories)."""
    for name, entries in manifest.volumes.items():
        for entry in entries:
            if entry.type == "c" and entry.rdev == 0:
                return f"{name}: {entry.path} is a 0/0 device, which an overlay hides"
            if any(xattr.startswith("trusted.overlay.") for xattr in entry.xattrs):
                return f"{name}: {entry.path} carries overlay attributes"
    return ""


def refuse_writer(volumes: Mapping[str, Path], before: Mapping[str, Mapping[str, Mark]]) -> None:
    """Raise InfraError when a volume is not as its marks were."""
    for name, was in before.items():
        now = marks(volumes[name])
        if changed := betrayed(was, now):
            raise InfraError(f"{name}: {quoted(changed[0])} changed while it was saved", hint="who still writes to it?")
