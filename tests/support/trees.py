"""Trees as volumes really have them, hostile ones included, for the tests of everything that keeps data."""

from __future__ import annotations

import os
import socket
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from warmci.base.models import Canonical, Lineage
from warmci.base.names import new_id
from warmci.store import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.store.manifest import SnapshotManifest

ODD_NAMES = (
    b"\xff\xfe raw",
    b"new\nline",
    b"-rf",
    b"sp ace",
    "ümläut".encode(),
    b"%41",
    b"q'\"$(x)",
    b"\\040",
    b"n" * 255,
)


def plant_torture(root: Path) -> None:
    """One of everything: types, modes, owners, times, attributes, links, holes, names."""
    (root / "file").write_bytes(b"data")
    os.chown(root / "file", 999, 1001)
    (root / "file").chmod(0o4755)
    (root / "big").write_bytes(b"b" * 400_000)
    os.link(root / "file", root / "hardlink")
    (root / "dir").mkdir(mode=0o700)
    os.link(root / "file", root / "dir" / "other name")
    (root / "none").mkdir()
    (root / "none").chmod(0)
    (root / "link").symlink_to("/etc/passwd")
    (root / "dangling").symlink_to("../../nowhere")
    os.mkfifo(root / "fifo", 0o640)
    os.mknod(root / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(root / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    plant_socket(root)
    with (root / "hole").open("wb") as file:
        file.truncate(8 * 2**20)
        file.seek(4 * 2**20)
        file.write(b"island")
    os.setxattr(root / "file", "user.note", b"\x00\xff")
    os.setxattr(root / "dir", "trusted.mark", b"t")
    os.lchown(root / "link", 5, 6)
    for name in ODD_NAMES:
        (root / os.fsdecode(name)).write_bytes(name)
    os.utime(root / "file", ns=(1, 1_234_567_890_123_456_789))
    os.utime(root / "link", ns=(2, 987_654_321), follow_symlinks=False)
    os.chown(root, 70, 71)
    root.chmod(0o1711)
    os.utime(root, ns=(3, 1_000_000_000_000_000_007))


def plant_socket(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        home = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        server.bind(f"/proc/self/fd/{home}/socket")  # 108 bytes are all that a socket's path may have
        os.close(home)


def plant_deep(root: Path, levels: int, name: str = "d") -> None:
    """A directory chain too deep for recursion, for one descriptor a level and for PATH_MAX."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)


def save(state_dir: Path, recipe: str = "demo", content: str = "data", *, extra: int = 2) -> SnapshotManifest:
    """A small finished snapshot of two volumes."""
    staging = snapshot.stage(state_dir, recipe, new_id())
    for volume in ("db", "files"):
        root = snapshot.make_volume(staging, volume)
        (root / "content").write_text(content)
        for number in range(extra):
            (root / f"extra{number}").write_text(f"{content} {number}")
    return snapshot.finish(staging)


def canonical_of(manifest: SnapshotManifest, **changes: object) -> Canonical:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    values: dict[str, object] = {
        "recipe": manifest.recipe,
        "state": "good",
        "commit": "c" * 40,
        "version": "1.0.0+1.2",
        "images": {"app": "sha256:" + "d" * 64},
        "domain": "warm-demo.example",
        "port": 20000,
        "snapshot": manifest.id,
        "manifest_sha256": manifest.sha256,
        "lineage": (Lineage(version="1.0.0+1.2", commit="c" * 40, run="r", at=now),),
        "secrets": {"db_password": "canary-5eCret"},
        "run": new_id(),
        "created": now,
    }
    return Canonical.model_validate(values | changes)
