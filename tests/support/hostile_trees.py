"""Trees that a copy, a hash or a removal could trip over, each by the function that plants it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from support.trees import plant_deep, plant_socket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _whiteout(root: Path) -> None:
    os.mknod(root / "gone", stat.S_IFCHR, 0)


def _opaque(root: Path) -> None:
    (root / "dir").mkdir()
    (root / "file").write_text("x")
    os.setxattr(root / "dir", "trusted.overlay.opaque", b"y")


def _unreadable(root: Path) -> None:
    (root / "none").mkdir()
    (root / "none" / "file").write_text("x")
    (root / "none" / "file").chmod(0)
    (root / "none").chmod(0)


def _names(root: Path) -> None:
    for number in range(256):
        if number not in b"/\0":
            (root / os.fsdecode(bytes([number]) + b"x")).write_text(str(number))


def _links(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to("../../../../../../../..")
    (root / "proc").symlink_to("/proc/self/fd")
    (root / "long").symlink_to("x" * 4095)


def _huge_hole(root: Path) -> None:
    with (root / "hole").open("wb") as file:
        file.truncate(2**28)


def _many_links(root: Path) -> None:
    (root / "first").write_text("x")
    for number in range(500):
        os.link(root / "first", root / f"link{number}")


HOSTILE: dict[str, Callable[[Path], None]] = {
    "whiteout": _whiteout,
    "opaque": _opaque,
    "unreadable": _unreadable,
    "names": _names,
    "links": _links,
    "huge hole": _huge_hole,
    "many links": _many_links,
    "deep": lambda root: plant_deep(root, 1500),
    "socket": plant_socket,
    "fifo": lambda root: os.mkfifo(root / "fifo"),
}
