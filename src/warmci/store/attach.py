"""A snapshot's data for one run: an overlay that is thrown away, or a copy where an overlay is not possible."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from warmci.base import fs, process
from warmci.base.errors import InfraError
from warmci.base.names import volume_name
from warmci.base.state import disk
from warmci.store.copying import copy_volumes, would_clone
from warmci.store.snapshot import COPY_ONLY, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

_MOUNT_TIMEOUT_S = 30.0
_UNMOUNT_WAIT_S = 5.0
_OPTIONS = (
    "index=on,redirect_dir=on,metacopy=on,volatile",
    "redirect_dir=on,metacopy=on,volatile",
    "redirect_dir=on,metacopy=on",
    "redirect_dir=on",
)
"""Best first: index keeps hard links, metacopy makes chown free, volatile makes fsync free (the upper is thrown away).
The last is the least that will do: without redirect_dir, a rename of a directory fails as on no real disk."""
_UNSAFE = (":", ",", "\\", '"')
_PARTS = ("upper", "work", "copy")


@dataclass(frozen=True)
class Attachment:
    method: Literal["overlay", "reflink", "copy"]
    reason: str
    """Why it is not the best method; empty when it is."""
    volumes: Mapping[str, Path]
    """Volume to the directory that shows its data. Missing, not empty, once the overlay is unmounted."""


def attach(
    snapshot_dir: Path,
    work_dir: Path,
    volumes: Iterable[str],
    *,
    prefer: Literal["overlay", "copy"] = "overlay",
    is_seen: Callable[[Path], bool] = lambda _: True,
) -> Attachment:
    """Give a run the snapshot's volumes in work_dir; the snapshot itself is only read.

    is_seen: whether the engine sees what is mounted there. From inside a container it does not: its containers would
    find an empty directory.

    Raises InfraError when a volume is not in the snapshot, work_dir is attached already, or neither way works.
    """
    names = [volume_name(name) for name in volumes]
    for name in names:
        if not (snapshot_dir / "volumes" / name).is_dir():
            raise InfraError(f"snapshot {snapshot_dir.name} has no volume {name}")
    if (work_dir / "m").exists() or any((work_dir / part).exists() for part in _PARTS):
        raise InfraError(f"{work_dir} is attached already", hint="warmci recover")
    with disk(f"attaching snapshot {snapshot_dir.name}"):
        work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = _no_overlay(snapshot_dir, work_dir, prefer)
        if not reason:
            reason, mounted = _overlay(snapshot_dir, work_dir)
            if mounted and is_seen(work_dir / "m"):
                return Attachment("overlay", reason, {name: work_dir / "m" / name for name in names})
            if mounted:
                detach(work_dir)
                reason = "the engine does not see what is mounted here (another mount namespace)"
        return _copy(snapshot_dir, work_dir, names, reason)


def detach(work_dir: Path) -> None:
    """Unmount and drop everything that the run wrote; fine to call again, and after a kill or a reboot.

    Never lazily: a container that still runs must not see its data vanish. Raises InfraError when it is busy.
    """
    deadline = time.monotonic() + _UNMOUNT_WAIT_S
    while found := mounted(work_dir):
        done = process.run(["umount", "--", str(found[0])], timeout_s=_MOUNT_TIMEOUT_S, check=False)
        if done.returncode and time.monotonic() > deadline:
            raise InfraError(
                f"{found[0]} cannot be unmounted: {done.stderr.strip()}",
                hint="remove the containers and volumes that use it, then run `warmci recover`",
            )
        if done.returncode:
            time.sleep(0.1)
    with disk(f"detaching {work_dir}"):
        for part in _PARTS:
            remove(work_dir / part)
        if (work_dir / "m").is_dir():
            (work_dir / "m").rmdir()  # not a removal: whatever lies in it, it is not ours


def leftover_mounts(state_dir: Path) -> list[Path]:
    """Mounts below the runs of this state directory, innermost first: the order in which they can be unmounted."""
    return mounted(state_dir / ".runs")


def mounted(tree: Path) -> list[Path]:
    """Mount points at or below tree, innermost first. Raises InfraError when the mount table cannot be read."""
    with disk("the mount table"):
        return [mount.target for mount in fs.mounts_below(tree)]


def _no_overlay(snapshot_dir: Path, work_dir: Path, prefer: str) -> str:
    """Why an overlay is not even tried; empty when nothing speaks against it."""
    if prefer == "copy":
        return "a copy was asked for"
    if (snapshot_dir / COPY_ONLY).exists():
        return (snapshot_dir / COPY_ONLY).read_text(encoding="utf-8").strip()
    if any(char in f"{snapshot_dir}{work_dir}" for char in _UNSAFE):
        return "a path has a character that overlay options cannot carry"
    try:
        os.setxattr(work_dir, "trusted.warmci", b"1")
        os.removexattr(work_dir, "trusted.warmci")
    except OSError as error:
        return f"the file system keeps no trusted attributes ({error.strerror})"
    return ""


def _overlay(snapshot_dir: Path, work_dir: Path) -> tuple[str, bool]:
    """One overlay over all volumes: their own root directories keep mode and owner, as they are not its root."""
    for part in ("upper", "work", "m"):
        (work_dir / part).mkdir(mode=0o700)
    where = f"lowerdir={snapshot_dir / 'volumes'},upperdir={work_dir / 'upper'},workdir={work_dir / 'work'}"
    refused = ""
    for options in _OPTIONS:
        command = ["mount", "-t", "overlay", "-o", f"{options},{where}", "--", "overlay", str(work_dir / "m")]
        done = process.run(command, timeout_s=_MOUNT_TIMEOUT_S, check=False)
        if not done.returncode:
            return (f"kernel refused better options, using {options}" if refused else ""), True
        refused = done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"mount ended {done.returncode}"
        remove(work_dir / "work")
        (work_dir / "work").mkdir(mode=0o700)
    detach(work_dir)
    return f"no overlay here: {refused}", False


def _copy(snapshot_dir: Path, work_dir: Path, names: list[str], reason: str) -> Attachment:
    target = work_dir / "copy"
    target.mkdir(mode=0o700)
    method: Literal["reflink", "copy"] = "reflink" if would_clone(snapshot_dir, target) else "copy"
    copy_volumes(snapshot_dir / "volumes", target, names)
    return Attachment(method, reason, {name: target / name for name in names})
