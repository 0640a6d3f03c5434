"""Anonymous volumes: swarm makes a new one for each task, so an update loses what they hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmci.base.labels import NAMESPACE_LABEL

if TYPE_CHECKING:
    from warmci.swarm.engine import Engine

_NAME = re.compile(r"[0-9a-f]{64}")
_SERVICE_LABEL = "com.docker.swarm.service.name"
Place = tuple[str, str]
"""Service, path in its containers."""


@dataclass(frozen=True)
class Planted:
    """Files that were put into the anonymous volumes of a stack's running containers before an upgrade."""

    name: str
    volumes: dict[Place, Path]

    def lost(self, engine: Engine, stack: str) -> list[Place]:
        """Where the file is not in the volume that the service's container has now; those left are removed."""
        now = found(engine, stack)
        gone = [place for place in self.volumes if not (now.get(place, Path("/nonexistent")) / self.name).exists()]
        for path in {*self.volumes.values(), *now.values()}:
            (path / self.name).unlink(missing_ok=True)
        return sorted(gone)


def found(engine: Engine, stack: str) -> dict[Place, Path]:
    """Each anonymous volume of running containers, and its directory as the engine's host calls it."""
    containers = engine.containers([f"{NAMESPACE_LABEL}={stack}"], running=True)
    return {
        (str(item["Labels"].get(_SERVICE_LABEL, "")).removeprefix(f"{stack}_"), str(mount["Destination"])): Path(
            str(mount.get("Source", ""))
        )
        for item in containers
        for mount in item.get("Mounts", [])
        if _is_anonymous(mount)
    }


def _is_anonymous(mount: dict[str, Any]) -> bool:
    return mount.get("Type") == "volume" and _NAME.fullmatch(str(mount.get("Name", ""))) is not None


def plant(engine: Engine, stack: str, name: str) -> Planted:
    """Where the engine is of this host; else there is nothing to plant."""
    here = {place: path for place, path in found(engine, stack).items() if path.is_dir()}
    for path in here.values():
        # Exclusive and unguessable: an app could have put a link there for us to follow.
        (path / name).open("x").close()
    return Planted(name, here)
