"""A canonical, and the live volumes of its stack that it is restored into."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from support.trees import canonical_of, save
from warmci.base.state import open_state
from warmci.store import manifest, restore, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.models import Canonical
    from warmci.store.tree import Progress

STACK = "warm-demo_example"


class World:
    """A state directory with a canonical, and the live volumes of its stack with data of their own."""

    def __init__(self, home: Path) -> None:
        before = os.umask(0o077)
        self.state = open_state(home / "state").dir
        os.umask(before)
        self.canonical: Canonical = canonical_of(save(self.state, content="canonical"))
        self.targets = {name: home / "docker" / "volumes" / f"{STACK}_{name}" / "_data" for name in ("db", "files")}
        for path in self.targets.values():
            path.mkdir(parents=True)
            (path / "content").write_text("live")
            (path / "live only").write_text("x")

    def restore(self, progress: Progress | None = None) -> None:
        restore.restore_volumes(self.state, self.canonical, self.targets, stack=STACK, progress=progress)

    def contents(self) -> set[str]:
        return {(path / "content").read_text() for path in self.targets.values()}

    def residue(self) -> list[str]:
        beside = [path.name for target in self.targets.values() for path in target.parent.iterdir()]
        return sorted(name for name in beside if name != "_data") + [
            path.name for path in (self.state / "demo").glob("*restore*")
        ]

    def is_restored(self) -> bool:
        volumes = manifest.load_manifest(
            snapshot.snapshot_dir(self.state, "demo", self.canonical.snapshot) / "manifest.json"
        ).volumes
        return all(
            manifest.compare_volume(volumes[name], path, read_data=True) == [] for name, path in self.targets.items()
        )
