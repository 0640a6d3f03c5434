"""Who has a directory mounted, in any mount namespace of this host: nothing is saved or removed under a container."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from warmci.errors import InfraError

_ENGINES_MOUNT = "/_data"
"""Where the engine mounts a volume before it shows it to containers."""


class _Mounted(NamedTuple):
    device: str
    root: str
    """Which directory of the file system is mounted; for a bind mount, its source."""
    target: str
    options: str


def refuse_mounted(tree: Path) -> None:
    """Raise InfraError when anything at or below tree is mounted anywhere, or something is mounted in it."""
    users = mount_users(tree)
    if users:
        raise InfraError(
            f"{tree} is in use: {users[0]}" + (f" and {len(users) - 1} more" if len(users) > 1 else ""),
            hint="undeploy the stack, and wait until its containers are gone",
        )


def mount_users(tree: Path) -> list[str]:
    """Mounts that show tree or a part of it, as "path (pid N)".

    Read from /proc/*/mountinfo (proc_pid_mountinfo(5)): the engine's own list of containers is not complete after a
    live restore. A bind mount is known by device and root, wherever its target lies.

    A namespace that somebody else made while a run was mounted (unshare, a service with PrivateMounts) has copies of
    the run's mounts and keeps them after we have unmounted ours. They are no users: nothing runs on them, as in the
    namespace of a container, which has a root of its own.
    """
    real = tree.resolve()
    own = _read(Path("/proc/self/mountinfo"))
    home = _containing(own, real)
    place = str(PurePosixPath(home.root) / real.relative_to(home.target))
    found: dict[str, None] = {}
    for pid, has_copies, mounts in _namespaces():
        for mount in mounts:
            shows = mount.device == home.device and _at_or_below(mount.root, place)
            layered = any(_at_or_below(layer, str(real)) for layer in _layers(mount.options))
            is_copy = has_copies and (layered or mount.target.endswith(_ENGINES_MOUNT))
            if (shows or layered) and not is_copy:
                found[f"{mount.target} (pid {pid})"] = None
    found.update((f"{mount.target} (mounted inside)", None) for mount in own if _at_or_below(mount.target, str(real)))
    return list(found)


def is_mounted_for(pid: int | None, target: Path) -> bool:
    """Whether the process has something mounted at target; None, a process that cannot be looked at, has not."""
    if pid is None:
        return False
    try:
        return any(mount.target == str(target.resolve()) for mount in _read(Path("/proc") / str(pid) / "mountinfo"))
    except OSError:
        return False


def mounts_inside(tree: Path) -> list[Path]:
    """Mount points at or below tree in our own namespace, innermost first: the order in which they can be unmounted."""
    real = str(tree.resolve())
    targets = [mount.target for mount in _read(Path("/proc/self/mountinfo"))]
    return [Path(target) for target in reversed(targets) if _at_or_below(target, real)]


def _at_or_below(path: str, tree: str) -> bool:
    return path == tree or path.startswith(tree.rstrip("/") + "/")


def _layers(options: str) -> list[str]:
    """The directories that an overlay is made of."""
    values = [option.partition("=") for option in options.split(",")]
    return [path for name, _, value in values if name.endswith("dir") for path in value.split(":")]


def _containing(mounts: list[_Mounted], path: Path) -> _Mounted:
    """The mount that a path lies on: the longest target, and of equal ones the last."""
    around = [mount for mount in mounts if _at_or_below(str(path), mount.target)]
    return max(reversed(around), key=lambda mount: len(mount.target))


def _namespaces() -> list[tuple[int, bool, list[_Mounted]]]:
    """The mounts of each mount namespace, with one process that lives in it, and whether they may be copies of ours.

    They may where the namespace is another than ours, and its root directory is the same.
    """
    seen: set[int] = set()
    found = []
    own, root = Path("/proc/self/ns/mnt").stat().st_ino, _identity(Path("/proc/self/root"))
    for process in Path("/proc").glob("[1-9]*"):
        with suppress(OSError):  # the process ended meanwhile
            namespace = (process / "ns" / "mnt").stat().st_ino
            if namespace not in seen:
                has_copies = namespace != own and _identity(process / "root") == root
                found.append((int(process.name), has_copies, _read(process / "mountinfo")))
                seen.add(namespace)
    return found


def _identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def _read(path: Path) -> list[_Mounted]:
    mounts = []
    for line in path.read_bytes().splitlines():
        left, _, right = line.partition(b" - ")
        fields = left.split(b" ")
        options = right.split(b" ")[2]
        mounts.append(_Mounted(*(_text(field) for field in (fields[2], fields[3], fields[4], options))))
    return mounts


def _text(field: bytes) -> str:
    for code, char in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(code, char)
    return os.fsdecode(field)
