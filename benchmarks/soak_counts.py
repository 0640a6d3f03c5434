"""Everything that runs could leave on an engine and its host, as figures that can be compared."""

from __future__ import annotations

import subprocess
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from support.addresses import free_addresses

if TYPE_CHECKING:
    from warmci.swarm.engine import Engine

_DEADLINE_S = 60.0
_POLL_S = 0.2
_SPARE_DESCRIPTORS = 16
"""Connections that come and go with the moment of counting."""
_SPARE_STATE_MB = 8
_ENGINE_MB_PER_CYCLE = 0.5
"""Swarm's own log grows until its next snapshot, every 10,000 changes; the daemons' logs grow."""


@dataclass(frozen=True)
class Counts:
    free_addresses: int
    services: int
    tasks: int
    containers: int
    networks: int
    volumes: int
    secrets: int
    configs: int
    mounts: int
    processes: int
    descriptors: int
    """Of dockerd and containerd."""
    state_mb: int
    engine_mb: int
    dockerd_rss_mb: int

    @classmethod
    def names(cls) -> list[str]:
        return [item.name.replace("_", " ") for item in fields(cls)]

    def cells(self) -> list[str]:
        return [str(value) for value in astuple(self)]

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in zip(self.names(), self.cells(), strict=True))

    def beyond(self, first: Counts, *, cycles: int) -> list[str]:
        """What is no longer as in the first count; memory is shown, not judged."""
        allowed = {
            "descriptors": _SPARE_DESCRIPTORS,
            "state_mb": _SPARE_STATE_MB,
            "engine_mb": int(_ENGINE_MB_PER_CYCLE * cycles) + 1,
        }
        found = []
        for item in fields(self):
            before, now = getattr(first, item.name), getattr(self, item.name)
            if item.name == "dockerd_rss_mb":
                continue
            more = before - now if item.name == "free_addresses" else now - before
            if more > allowed.get(item.name, 0):
                found.append(f"{item.name} {before} → {now}")
        return found


def settled(engine: Engine, root: Path, network: str) -> Counts:
    """Counted once swarm has forgotten the tasks of what is gone: it takes a few seconds."""
    end = time.monotonic() + _DEADLINE_S
    while engine.tasks() and time.monotonic() < end:
        time.sleep(_POLL_S)
    name = Path(engine.docker_host.removeprefix("unix://")).parent.name
    daemons = {pid: words for pid, words in _processes() if f"/run/{name}/" in words}
    dockerd = engine.process_id()
    return Counts(
        free_addresses=free_addresses(engine, network),
        services=len(engine.services()),
        tasks=len(engine.tasks()),
        containers=len(engine.containers()),
        networks=len(engine.networks()),
        volumes=len(engine.volumes()),
        secrets=len(engine.secrets()),
        configs=len(engine.configs()),
        mounts=sum(str(root) in line or name in line for line in _lines(Path("/proc/self/mountinfo"))),
        processes=len(daemons),
        descriptors=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in daemons if _is_daemon(daemons[pid])),
        state_mb=_size(root / "state"),
        engine_mb=_size(root / "engine"),
        dockerd_rss_mb=_rss(dockerd) if dockerd else 0,
    )


def _is_daemon(words: str) -> bool:
    return Path(words.split("\0", 1)[0]).name in {"dockerd", "containerd"}


def _processes() -> list[tuple[int, str]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((int(entry.name), (entry / "cmdline").read_bytes().decode(errors="replace")))
            except OSError:
                continue  # it has just ended
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _rss(pid: int) -> int:
    line = next(line for line in _lines(Path(f"/proc/{pid}/status")) if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def _size(root: Path) -> int:
    """Disk use in MB; what vanishes under its walk is du's to skip."""
    done = subprocess.run(["du", "-sxm", str(root)], capture_output=True, text=True, check=False)
    return int(done.stdout.split()[0])
