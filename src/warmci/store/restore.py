"""A snapshot put into live volumes: staged beside them, proved, swapped in by renames, all under a journal.

While restore.json exists the live volumes are not to be trusted. Whoever takes the recipe next settles it: before the
first swap everything is undone, from then on everything is carried through.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from warmci.base import fs, interrupts
from warmci.base.errors import InfraError, WarmciError
from warmci.base.names import new_id
from warmci.base.state import disk
from warmci.store.copying import NotClonedError, check_room, copying, would_clone
from warmci.store.manifest import compare_names, compare_volume
from warmci.store.quiesce import refuse_mounted
from warmci.store.restore_journal import JOURNAL, RestoredVolume, RestoreJournal, forget, load, write
from warmci.store.scan import marks, unchangeable
from warmci.store.snapshot import load_committed, remove, snapshot_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from warmci.base.models import Canonical
    from warmci.store.manifest import SnapshotManifest
    from warmci.store.tree import Entry, Progress

    RefuseUse = Callable[[RestoreJournal], None]
    """Raises InfraError when somebody uses the live volumes."""


def refuse_mounts(journal: RestoreJournal) -> None:
    """The least that must hold before a swap; an engine knows more users than the mount table."""
    for volume in journal.volumes:
        if volume.path.parent.exists():
            refuse_mounted(volume.path.parent)


def restore_volumes(
    state_dir: Path,
    canonical: Canonical,
    targets: Mapping[str, Path],
    *,
    stack: str,
    refuse_use: RefuseUse = refuse_mounts,
    pass_fds: Sequence[int] = (),
    progress: Progress | None = None,
) -> list[str]:
    """Replace the data of live volumes (name to its `_data`) by the canonical's; the caller holds the recipe's lock.

    The snapshot is proved by its hashes while it is copied, and so is the copy, before anything live is touched.
    Raises InfraError with the live volumes untouched, or, once the swap has begun, with a journal that the next
    command works off. Returns warnings about what somebody wrote meanwhile.
    """
    source = snapshot_dir(state_dir, canonical.recipe, canonical.snapshot)
    manifest = load_committed(state_dir, canonical)
    _require_whole(canonical, compare_names(manifest, source / "volumes"))
    _refuse_unchangeable(targets)
    check_room(next(iter(targets.values())), [marks(source / "volumes" / name) for name in targets])
    with disk(f"restore of {canonical.recipe}"):
        volumes = tuple(
            RestoredVolume(name=name, path=path, live_inode=path.stat().st_ino) for name, path in targets.items()
        )
    journal = RestoreJournal(
        id=new_id(),
        recipe=canonical.recipe,
        stack=stack,
        snapshot=canonical.snapshot,
        manifest_sha256=canonical.manifest_sha256,
        phase="stage",
        created=datetime.now(UTC),
        volumes=volumes,
    )
    refuse_use(journal)
    try:
        write(state_dir, journal)
        staged = _staged(journal, canonical, source / "volumes", manifest, pass_fds, progress)
        refuse_use(staged)
    except Exception:
        with suppress(WarmciError, OSError):  # the failure is the news; what cannot be undone now, settle undoes
            _undo(state_dir, journal)
        raise
    with interrupts.shielded("the restore is complete"), disk(f"restore of {journal.recipe}"):
        try:
            write(state_dir, staged)  # the point of no return
        except InfraError:
            with suppress(WarmciError, OSError):
                written = load(state_dir, journal.recipe)
                if written is not None and written.phase == "stage":
                    _undo(state_dir, written)
            raise
        return _carry_through(state_dir, staged)


def copy_out(
    state_dir: Path,
    canonical: Canonical,
    target: Path,
    *,
    pass_fds: Sequence[int] = (),
    progress: Progress | None = None,
) -> None:
    """A copy of the canonical's volumes to look at, proved by their hashes, in a fresh directory that is ours alone."""
    source = snapshot_dir(state_dir, canonical.recipe, canonical.snapshot)
    manifest = load_committed(state_dir, canonical)
    with disk(f"restore to {target}"):
        target.mkdir(mode=0o700)  # raises for what exists, a link to nowhere included
    try:
        check_room(target, [marks(source / "volumes" / name) for name in manifest.volumes])
        for name, entries in sorted(manifest.volumes.items()):
            _copy(canonical, name, entries, source / "volumes" / name, target / name, pass_fds, progress)
    except BaseException:
        remove(target)
        raise


def settle(state_dir: Path, recipe: str, refuse_use: RefuseUse = refuse_mounts) -> str:
    """Undo or carry through an interrupted restore; what was done, in words, or nothing where there is none.

    Raises InfraError, and touches nothing, when the journal is unreadable, somebody uses the volumes, or a volume is
    neither the old nor the new one.
    """
    journal = load(state_dir, recipe)
    if journal is None:
        return ""
    with interrupts.shielded(), disk(f"restore of {recipe}"):
        if journal.phase == "stage":
            _undo(state_dir, journal)
            return f"an interrupted restore of {recipe} was undone: the volumes of {journal.stack} are as they were"
        if journal.phase == "swap":
            refuse_use(journal)
            warnings = _carry_through(state_dir, journal)
        else:
            warnings = []
            _clean(state_dir, journal)
    done = f"an interrupted restore of {recipe} was finished: {journal.stack} has snapshot {journal.snapshot}"
    return "; but ".join([done, *warnings])


# --- the steps


def _copy(
    canonical: Canonical,
    name: str,
    entries: Sequence[Entry],
    source: Path,
    target: Path,
    pass_fds: Sequence[int],
    progress: Progress | None,
) -> None:
    """One volume, three times its bytes told: the snapshot's are hashed while cp reads them, the copy's afterwards.

    Where the file system clones files the copy's alone: they are the snapshot's own blocks, and nobody has them in
    memory yet, as may be with the snapshot's.
    """

    def copied(*, clone: bool) -> None:
        with copying(source, target, clone=clone, pass_fds=pass_fds, progress=progress):
            wrong = compare_volume(entries, source, read_data=not clone, progress=progress, threads=1)
            _require_whole(canonical, [f"{name}: {line}" for line in wrong])

    cloned = would_clone(source, target.parent)
    try:
        copied(clone=cloned)
    except NotClonedError:  # some files of a file system that can: btrfs, of those that are not to be copied on write
        cloned = False
        remove(target)
        copied(clone=False)
    wrong = compare_volume(entries, target, read_data=True, progress=progress)
    if cloned:
        _require_whole(canonical, [f"{name}: {line}" for line in wrong])
        if progress is not None:
            progress(2 * sum(entry.size for entry in entries))
    if wrong:
        raise InfraError(
            f"the copy of volume {name} differs in {len(wrong)} places: {wrong[0]}; nothing was restored",
            hint=f"warmci snapshot verify {canonical.recipe} --read-data",
        )


def _require_whole(canonical: Canonical, wrong: Sequence[str]) -> None:
    if wrong:
        raise InfraError(
            f"snapshot {canonical.snapshot} is damaged in {len(wrong)} places: {wrong[0]}; nothing was restored",
            hint=f"warmci snapshot verify {canonical.recipe} --read-data",
        )


def _staged(
    journal: RestoreJournal,
    canonical: Canonical,
    source: Path,
    manifest: SnapshotManifest,
    pass_fds: Sequence[int],
    progress: Progress | None,
) -> RestoreJournal:
    """Copies beside the live volumes, proved and durable; the journal of the phase that swaps them."""
    with disk(f"restore of {journal.recipe}"), ExitStack() as opened:
        # The volumes of an engine lie on one file system; a test's may not.
        homes = {volume.path.parent.stat().st_dev: volume.path.parent for volume in journal.volumes}
        descriptors = [opened.enter_context(fs.opened(home)) for home in homes.values()]
        for volume in journal.volumes:
            entries = manifest.volumes[volume.name]
            _copy(canonical, volume.name, entries, source / volume.name, journal.new(volume), pass_fds, progress)
        for fd in descriptors:
            fs.sync_file_system(fd)
        volumes = tuple(
            volume.model_copy(
                update={
                    "new_inode": journal.new(volume).stat().st_ino,
                    "objects": len(manifest.volumes[volume.name]),
                }
            )
            for volume in journal.volumes
        )
    return journal.model_copy(update={"phase": "swap", "volumes": volumes})


def _carry_through(state_dir: Path, journal: RestoreJournal) -> list[str]:
    for volume in journal.volumes:
        _swap(journal, volume)
    warnings = [line for volume in journal.volumes for line in _look_at(journal, volume)]
    done = journal.model_copy(update={"phase": "done"})
    write(state_dir, done)
    _clean(state_dir, done)
    return warnings


def _swap(journal: RestoreJournal, volume: RestoredVolume) -> None:
    """Where a volume stands is told by inodes, so that this may be done again after a kill at any of its steps."""
    new, trash = journal.new(volume), journal.trash(volume)
    now = _inode(volume.path)
    if now == volume.new_inode:
        return
    if now not in {volume.live_inode, 0} or _inode(new) != volume.new_inode:
        raise InfraError(
            f"volume {volume.name} of {journal.stack} is neither the one before the restore nor the restored one",
            hint=f"make {volume.path} what it should be, then move that recipe's {JOURNAL} out of the state directory",
        )
    if now and fs.exchange(volume.path, new):
        return
    if now:
        fs.rename_durable(volume.path, trash)
    fs.rename_durable(new, volume.path)


def _look_at(journal: RestoreJournal, volume: RestoredVolume) -> list[str]:
    """That it is the restored one, its inode says. What somebody put into it since is not ours to judge."""
    if _inode(volume.path) != volume.new_inode:
        raise InfraError(
            f"volume {volume.name} of {journal.stack} is not what was restored into it",
            hint=f"who swaps {volume.path}? then: warmci recover",
        )
    count = len(marks(volume.path))
    if count == volume.objects:
        return []
    return [
        f"volume {volume.name} of {journal.stack} has {count} files and directories, not {volume.objects} as restored"
    ]


def _clean(state_dir: Path, journal: RestoreJournal) -> None:
    """Throw away what was replaced: by a rename first, so that a half deleted volume never has a volume's name."""
    for volume in journal.volumes:
        new, trash = journal.new(volume), journal.trash(volume)
        if _inode(new) == volume.live_inode:
            fs.rename_durable(new, trash)
        remove(trash)
    forget(state_dir, journal)


def _undo(state_dir: Path, journal: RestoreJournal) -> None:
    for volume in journal.volumes:
        remove(journal.new(volume))
    forget(state_dir, journal)


def _inode(path: Path) -> int:
    """0 where there is nothing."""
    try:
        return path.stat(follow_symlinks=False).st_ino
    except FileNotFoundError:
        return 0


def _refuse_unchangeable(targets: Mapping[str, Path]) -> None:
    for name, path in targets.items():
        fixed = unchangeable(path)
        if fixed is not None:
            raise InfraError(
                f"volume {name}: {fixed} is immutable or append-only; nothing was restored",
                hint=f"chattr -R -i -a {path}, if it may be replaced",
            )
