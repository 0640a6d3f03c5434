"""Ingress `direct`: a stable port that leads to whatever tasks of the routed service run now.

Nothing is published on the app itself: swarm could not start a second task beside one that has a host's port, as
`order: start-first` and `replicas: 2` need it. A task is reached at the address that it has on docker_gwbridge.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError
from warmci.base.labels import NAMESPACE_LABEL
from warmci.swarm.haproxy import Haproxy, Target

if TYPE_CHECKING:
    from warmci.base.authority import Served
    from warmci.recipe.ingress import Route
    from warmci.swarm.engine import Engine

_POLL_S = 1.0
"""Events tell at once; this is for one that was missed."""
_logger = logging.getLogger(__name__)


def is_possible(engine: Engine) -> bool:
    """Whether the engine's bridges are in our own network namespace: not through TCP, nor from inside a container."""
    pid = engine.process_id()
    if pid is None:
        return False
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino == Path("/proc/thread-self/ns/net").stat().st_ino
    except OSError:
        return False


@dataclass
class Direct:
    """The way to one app, from its first deployment to its end."""

    engine: Engine
    stack: str
    port: int
    work_dir: Path
    certificate: Served | None = None
    """For https; without one it is http."""
    _route: Route | None = None
    _problem: str = ""
    _proxy: Haproxy | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def follow(self, route: Route | None) -> None:
        """Lead to this route's tasks from now on."""
        self._route = route
        if route is None:
            return
        if self._proxy is None:
            proxy = Haproxy(self.port, self.work_dir, self.certificate)
            proxy.start()
            self._proxy = proxy
            self._thread = threading.Thread(target=self._watch, daemon=True, name="ingress-direct")
            self._thread.start()
        self.refresh()

    def refresh(self) -> list[Target]:
        """Look now; returns where it leads to."""
        with self._lock:
            found = targets(self.engine, self.stack, self._route) if self._route is not None else []
            if self._proxy is not None:
                self._proxy.lead_to(found)
            return found

    def require(self) -> None:
        """Raise InfraError where the proxy is gone: what is then not answered is not the recipe's fault."""
        problem = self._problem or (self._proxy.problem() if self._proxy is not None else "")
        if problem:
            raise InfraError(problem, hint="warmci doctor; then retry the run")

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                with self.engine.events(self._changed.set):
                    while not self._ended.is_set():
                        self.refresh()
                        self._changed.wait(_POLL_S)
                        self._changed.clear()
            except InfraError as error:
                _logger.debug("ingress direct: %s", error)
                self._ended.wait(_POLL_S)

    def close(self) -> None:
        self._ended.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join(10)
        with self._lock:
            if self._proxy is not None:
                self._problem = self._proxy.problem()
                self._proxy.stop()
                self._proxy = None


def targets(engine: Engine, stack: str, route: Route) -> list[Target]:
    """The running tasks of the routed service, those of its newest spec alone where there are any; newest first."""
    label, name = [f"{NAMESPACE_LABEL}={stack}"], f"{stack}_{route.service}"
    services = [item for item in engine.services(label) if item["Spec"]["Name"] == name]
    if not services:
        return []
    running = [
        task
        for task in engine.tasks(label)
        if task["ServiceID"] == services[0]["ID"]
        and task["Status"]["State"] == "running"
        and task["DesiredState"] == "running"
    ]
    spec = services[0]["Spec"]["TaskTemplate"]["ContainerSpec"]
    newest = [task for task in running if task["Spec"].get("ContainerSpec") == spec] or running
    newest.sort(key=lambda task: str(task["CreatedAt"]), reverse=True)
    addresses = engine.addresses()
    ids = [str((task["Status"].get("ContainerStatus") or {}).get("ContainerID", "")) for task in newest]
    return [Target(addresses[item], route.port, route.scheme) for item in ids if item in addresses]
