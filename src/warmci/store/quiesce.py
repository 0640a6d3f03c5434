"""Who has a directory mounted, in any mount namespace of this host: nothing is saved or removed under a container."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath

from warmci.base import fs
from warmci.base.errors import InfraError
from warmci.base.state import disk

_ENGINES_MOUNT = "_data"
"""Where the engine mounts a volume before it shows it to containers."""


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
    with disk("the mount table"):
        own = fs.mounts()
    home = _containing(own, real)
    place = str(PurePosixPath(home.root) / real.relative_to(home.target))
    found: dict[str, None] = {}
    for pid, has_copies, mounts in _namespaces():
        for mount in mounts:
            shows = mount.device == home.device and _at_or_below(mount.root, place)
            layered = any(_at_or_below(layer, str(real)) for layer in _layers(mount.options))
            is_copy = has_copies and (layered or mount.target.name == _ENGINES_MOUNT)
            if (shows or layered) and not is_copy:
                found[f"{mount.target} (pid {pid})"] = None
    found.update((f"{mount.target} (mounted inside)", None) for mount in own if mount.target.is_relative_to(real))
    return list(found)


def is_mounted_for(pid: int | None, target: Path) -> bool:
    """Whether the process has something mounted at target; None, a process that cannot be looked at, has not."""
    if pid is None:
        return False
    try:
        return any(mount.target == target.resolve() for mount in fs.mounts(Path("/proc") / str(pid)))
    except OSError:
        return False


def _at_or_below(path: str, tree: str) -> bool:
    return path == tree or path.startswith(tree.rstrip("/") + "/")


def _layers(options: str) -> list[str]:
    """The directories that an overlay is made of."""
    values = [option.partition("=") for option in options.split(",")]
    return [path for name, _, value in values if name.endswith("dir") for path in value.split(":")]


def _containing(mounts: list[fs.Mount], path: Path) -> fs.Mount:
    """The mount that a path lies on: the longest target, and of equal ones the last."""
    around = [mount for mount in mounts if path.is_relative_to(mount.target)]
    return max(reversed(around), key=lambda mount: len(mount.target.parts))


def _namespaces() -> list[tuple[int, bool, list[fs.Mount]]]:
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
                found.append((int(process.name), has_copies, fs.mounts(process)))
                seen.add(namespace)
    return found


def _identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino
