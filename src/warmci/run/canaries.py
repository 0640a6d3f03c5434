"""Whether an upgrade left an app's data where it was: a file put into each volume before, and the mounts after."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from warmci.recipe.render import Rendered
    from warmci.report.stages import Stage


@dataclass
class Canaries:
    """One file in each volume's directory."""

    volume_dirs: dict[str, Path]
    """More may come with an upgrade."""
    name: str = field(default_factory=lambda: f".warmci-{secrets.token_hex(8)}")

    def plant(self) -> None:
        for path in self.volume_dirs.values():
            # Exclusive and unguessable: an app could have put a link there for us to follow.
            (path / self.name).open("x").close()

    def remove(self) -> None:
        for path in self.volume_dirs.values():
            (path / self.name).unlink(missing_ok=True)

    def check(self, stage: Stage, before: Rendered, after: Rendered, allow: Iterable[str]) -> None:
        """The services still mount the volumes, and the files are still in them."""
        for (name, target), services in sorted(mounts(before).items()):
            word = f"mount:{name}"
            stays = bool(mounts(after).get((name, target))) or word in allow
            message = f"{target} of {', '.join(sorted(services))} no longer shows volume {name} (allow: {word})"
            stage.check(f"volume {name} is still at {target}", stays, message, final=True)
        for name in before.volumes:
            kept = (self.volume_dirs[name] / self.name).is_file()
            stage.check(f"data in volume {name} survived", kept, f"a file put into {name} before the upgrade is gone")
        self.remove()


def mounts(rendered: Rendered) -> dict[tuple[str, str], set[str]]:
    """(volume, path in the container) to the services that mount it there."""
    found: dict[tuple[str, str], set[str]] = {}
    for name, service in rendered.document["services"].items():
        for volume in service.get("volumes", []):
            if volume["type"] == "volume" and volume.get("source"):
                found.setdefault((str(volume["source"]), str(volume["target"])), set()).add(name)
    return found
