"""What the live Keycloak holds: its data on disk and its memory. Realms come and go; neither may grow for ever."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from warmci.base import names
from warmci.base.disk import sizes
from warmci.base.errors import InfraError
from warmci.base.labels import NAMESPACE_LABEL
from warmci.base.models import Record
from warmci.live import keycloak_json
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.live.keycloak_json import LiveRecord

DATA_WARN = 2**30
"""Bytes of data from which doctor warns: many times what thousands of realms left behind (docs/benchmarks.md)."""
HINT = "its realms are thrown away anyway: warmci keycloak down, then warmci keycloak reconcile, begin it anew"
_ENGINE_S = 5.0
_MIB = 2**20


class Footprint(Record):
    data: int
    """Bytes on disk of its volumes, its database's among them."""
    memory: int | None
    """Bytes of all its containers without the page cache; None when the engine does not say."""

    @property
    def is_large(self) -> bool:
        return self.data >= DATA_WARN

    def __str__(self) -> str:
        memory = "unknown" if self.memory is None else f"{self.memory // _MIB} MiB"
        return f"data {self.data // _MIB} MiB, memory {memory}"


def of(settings: Settings, record: LiveRecord) -> Footprint:
    """Of this host's own Keycloak: what others run is theirs to look at."""
    volumes = keycloak_json.generation_dir(settings, record.generation) / "volumes"
    return Footprint(data=sizes([volumes])[volumes].bytes, memory=_memory(settings, record))


def _memory(settings: Settings, record: LiveRecord) -> int | None:
    stack = names.stack_name(record.domain)
    try:
        with closing(Engine(settings.docker_host, timeout_s=_ENGINE_S)) as engine:
            found = engine.containers([f"{NAMESPACE_LABEL}={stack}"], running=True)
            used = [engine.memory(str(item["Id"])) for item in found]
    except InfraError:
        return None
    known = [size for size in used if size is not None]
    return sum(known) if known else None
