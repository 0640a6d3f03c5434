"""Three private engines, managers of one swarm, each in a namespace of its own; a bridge in a fourth joins them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import docker

from support.bench import Bench
from warmci.base.settings import Settings
from warmci.demo import images, private_engine
from warmci.swarm.engine import Engine
from warmci.swarm.nodes import WORKER_LABEL, list_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NETWORK = "10.98.0"


@dataclass(frozen=True)
class Worker:
    """A WarmCI with a node of its own."""

    name: str
    root: Path
    bench: Bench

    def kill_engine(self) -> None:
        """As if its host had lost power: nothing of it ends in order."""
        mine = str(self.root / "engine")
        run = self.bench.settings.docker_host.removeprefix("unix://").rpartition("/")[0]
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            try:
                with open(f"{entry.path}/cmdline", "rb") as file:  # noqa: PTH123  (a path of the kernel's)
                    line = file.read().decode(errors="replace")
            except OSError:
                continue
            program = line.partition("\0")[0].rpartition("/")[2]
            if program in {"dockerd", "containerd"} and (mine in line or run in line):
                os.kill(int(entry.name), signal.SIGKILL)


@contextmanager
def three_nodes(root: Path, tags: Sequence[str], values: dict[str, object]) -> Iterator[list[Worker]]:
    """Workers one, two and three, of the given images and settings; all gone at the end."""
    hub = f"hub-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"
    with ExitStack() as ends:
        _ip("netns", "add", hub)
        ends.callback(_ip, "netns", "delete", hub)
        _ip("-netns", hub, "link", "add", "hub", "type", "bridge")
        _ip("-netns", hub, "link", "set", "hub", "up")
        workers = [_worker(root / name, hub, number, tags, values, ends) for number, name in enumerate(NAMES, 1)]
        _join(workers)
        yield workers


NAMES = ("one", "two", "three")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


def _worker(
    root: Path, hub: str, number: int, tags: Sequence[str], values: dict[str, object], ends: ExitStack
) -> Worker:
    root.mkdir()
    ends.callback(private_engine.destroy, root / "engine")
    started = private_engine.start(root / "engine", print)
    images.provide_images(Engine(started.docker_host), tags, images.default_cache_dir(), print)
    inside, peer = ("-netns", started.netns.name), ("peer", "name", "nodes0", "netns", started.netns.name)
    _ip("-netns", hub, "link", "add", f"n{number}", "type", "veth", *peer)
    _ip("-netns", hub, "link", "set", f"n{number}", "master", "hub", "up")
    _ip(*inside, "address", "add", f"{_NETWORK}.{number}/24", "dev", "nodes0")
    _ip(*inside, "link", "set", "nodes0", "up")
    own: dict[str, object] = {
        **values,
        "state_dir": str(root / "state"),
        "docker_host": started.docker_host,
        "netns": str(started.netns),
        "base_domain": f"{root.name}.warmci.localhost",
    }
    (root / "settings.toml").write_text(
        "".join(f"{name} = {json.dumps(value)}\n" for name, value in own.items()), encoding="utf-8"
    )
    return Worker(root.name, root, Bench(root, Settings.model_validate(own)))


def _join(workers: list[Worker]) -> None:
    clients = [docker.DockerClient(base_url=worker.bench.settings.docker_host) for worker in workers]
    try:
        for client in clients:
            client.swarm.leave(force=True)
        first, *others = clients
        first.swarm.init(advertise_addr=f"{_NETWORK}.1", listen_addr=f"{_NETWORK}.1:2377")
        token = first.swarm.attrs["JoinTokens"]["Manager"]
        for number, client in enumerate(others, 2):
            own = f"{_NETWORK}.{number}"
            client.swarm.join([f"{_NETWORK}.1:2377"], token, advertise_addr=own, listen_addr=f"{own}:2377")
        for node in first.nodes.list():
            node.update({**node.attrs["Spec"], "Labels": {WORKER_LABEL: "true"}})
    finally:
        for client in clients:
            client.close()
    for worker in workers:
        worker.bench.engine.await_leader(30)
    assert len(list_nodes(workers[0].bench.engine)) == len(workers)
