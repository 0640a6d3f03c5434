"""Snapshots: staged, proven quiet, hashed, made durable, and only then given their name by one rename."""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from warmci import process
from warmci.errors import InfraError
from warmci.fs import fsync_dir, rename_durable, write_atomic
from warmci.manifest import Entry, Seen, SnapshotManifest, compare, load_manifest, new_manifest, walk
from warmci.names import recipe_name, record_id, volume_name
from warmci.quiesce import refuse_mounted
from warmci.state import check_space, disk, no_space

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

COPY_ONLY = "copy-only"
"""File in a snapshot whose data an overlay would not show as it is; its text says why."""
_COPY_TIMEOUT_S = 3600.0
_REMOVE_TIMEOUT_S = 900.0
_RESERVE_BYTES = 64 * 2**20
_libc = ctypes.CDLL(None, use_errno=True)


def snapshot_dir(state_dir: Path, recipe: str, snapshot_id: str) -> Path:
    return state_dir / recipe_name(recipe) / "snapshots" / record_id(snapshot_id)


def stage(state_dir: Path, recipe: str, snapshot_id: str, *, run: str = "") -> Path:
    """Make <recipe>/staging/<id>/volumes, all 0700, and return <recipe>/staging/<id>.

    run: whose staging it is; garbage collection keeps it while that run lives. It appears complete, by one rename.
    """
    home = state_dir / recipe_name(recipe)
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
    home = staging.parent.parent
    refuse_mounted(staging)
    volumes = staging / "volumes"
    with disk(f"snapshot {staging.name}"):
        names = sorted(volume_name(path.name) for path in volumes.iterdir())
        seen = {name: walk(volumes / name, read_data=True) for name in names}
        if not allow_empty and not any(item.entry.type != "d" for items in seen.values() for item in items):
            raise InfraError(f"snapshot {staging.name} holds no file", hint="did the app write to its volumes at all?")
        manifest = new_manifest(home.name, staging.name, {name: _entries(items) for name, items in seen.items()})
        if reason := _overlay_problem(manifest):
            (staging / COPY_ONLY).write_text(reason + "\n", encoding="utf-8")
        _syncfs(staging)
        _refuse_writer(volumes, seen)
        write_atomic(staging / "manifest.json", manifest.text())
        snapshots = home / "snapshots"
        if not snapshots.exists():
            snapshots.mkdir(mode=0o700)
            fsync_dir(home)
            fsync_dir(home.parent)
        rename_durable(staging, snapshots / staging.name)
    return manifest


def copy_from(snapshot: Path, staging: Path, *, pass_fds: Sequence[int] = ()) -> None:
    """Copy all volumes of a snapshot into a fresh staging, and prove the copy against the snapshot's manifest."""
    manifest = load_manifest(snapshot / "manifest.json")
    copy_volumes(snapshot / "volumes", staging / "volumes", sorted(manifest.volumes), pass_fds=pass_fds)
    if wrong := compare(manifest, staging / "volumes", read_data=True):
        raise InfraError(
            f"copy of snapshot {snapshot.name} differs in {len(wrong)} places: {wrong[0]}",
            hint=f"warmci snapshot verify {manifest.recipe}",
        )


def copy_volumes(source: Path, target: Path, names: Iterable[str], *, pass_fds: Sequence[int] = ()) -> None:
    """Full-fidelity copy of volumes: owners, modes, times, xattrs, hard links, holes, devices, sockets, roots.

    pass_fds: the lock's descriptor, so that the lock outlives us as long as the copying child does.
    Raises InfraError "no space" before it starts when bytes or inodes are short.
    """
    chosen = [volume_name(name) for name in names]
    seen = [item for name in chosen for item in walk(source / name, read_data=False)]
    needed = sum(item.blocks * 512 for item in seen)
    check_space(target, "the copy", bytes_needed=needed * 21 // 20 + _RESERVE_BYTES, inodes_needed=len(seen) + 64)
    for name in chosen:
        with disk(f"copy of volume {name}"):
            (target / name).mkdir(mode=0o700)
        options = ["-a", "--reflink=auto", "--sparse=always"]
        command = ["cp", *options, "--", f"{source / name}/.", str(target / name)]
        try:
            said = process.run(command, timeout_s=_COPY_TIMEOUT_S, pass_fds=pass_fds).stderr
        except process.CommandError as error:
            if "No space left" in error.tail or "quota exceeded" in error.tail:
                raise no_space(f"copy of volume {name}") from error
            raise
        if said.strip():
            raise InfraError(f"copy of volume {name}: cp warned: {said.strip().splitlines()[0]}")


def verify(state_dir: Path, recipe: str, snapshot_id: str, *, read_data: bool = True) -> list[str]:
    """What is wrong with a snapshot, one line each; nothing found is []. read_data=False trusts sizes and times."""
    path = snapshot_dir(state_dir, recipe, snapshot_id)
    manifest = load_manifest(path / "manifest.json")
    wrong = compare(manifest, path / "volumes", read_data=read_data)
    if (manifest.recipe, manifest.id) != (recipe, snapshot_id):
        wrong.insert(0, f"manifest is that of {manifest.recipe} {manifest.id}")
    return wrong


def discard(state_dir: Path, recipe: str, snapshot_id: str) -> None:
    """Remove a snapshot: first its name, durably, then its data."""
    path = snapshot_dir(state_dir, recipe, snapshot_id)
    refuse_mounted(path)
    with disk(f"discarding snapshot {snapshot_id}"):
        trash = _trash(path.parent.parent)
        with suppress(FileNotFoundError):
            rename_durable(path, trash / snapshot_id)
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


def _entries(items: list[Seen]) -> tuple[Entry, ...]:
    return tuple(item.entry for item in items)


def _overlay_problem(manifest: SnapshotManifest) -> str:
    """An overlay takes these for its own marks (kernel documentation, overlayfs: whiteouts and opaque directories)."""
    for name, entries in manifest.volumes.items():
        for entry in entries:
            if entry.type == "c" and entry.rdev == 0:
                return f"{name}: {entry.path} is a 0/0 device, which an overlay hides"
            if any(xattr.startswith("trusted.overlay.") for xattr in entry.xattrs):
                return f"{name}: {entry.path} carries overlay attributes"
    return ""


def _refuse_writer(volumes: Path, before: dict[str, list[Seen]]) -> None:
    for name, items in before.items():
        now = {item.entry.path: item for item in walk(volumes / name, read_data=False)}
        was = {item.entry.path: item._replace(entry=item.entry._replace(sha256="")) for item in items}
        changed = sorted(path for path in was.keys() | now.keys() if was.get(path) != now.get(path))
        if changed:
            raise InfraError(f"{name}: {changed[0]} changed while it was saved", hint="who still writes to it?")


def _syncfs(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(fd)
