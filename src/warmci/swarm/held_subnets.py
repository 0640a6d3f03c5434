"""Subnets of networks that are gone from the swarm, while a container on this node still holds them.

Current engines give the lowest free subnet, at once. Who removes a network while a container on it still ends (`docker
stack rm` does) leaves it with the node until then; where a new network is given its subnet meanwhile, each task there
is rejected (moby: "Pool overlaps with other one on this address space"). So a stack with new networks waits for it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from warmci.base import stopping
from warmci.base.labels import INSTANCE_LABEL, NAMESPACE_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.swarm.engine import Engine

PATIENT_S = 120.0
"""More than most containers get to end."""
WAY_OUT = (
    "try again: the subnet is that of a network whose last container was still ending; where that stays so:"
    " systemctl restart docker"
)
_SERVICE_LABEL = "com.docker.swarm.service.id"
_REJECTION = "Pool overlaps with other one"
_POLL_S, _SAY_S = 0.5, 1.0
_GOES_S = 5.0
"""More than the node takes to remove it when its last container has ended; one that the swarm still has never goes."""


class Held(NamedTuple):
    id: str
    network: str
    container: str


def held(engine: Engine) -> list[Held]:
    """Networks of the swarm that no service is on, each with a container that its service has left; few, or none.

    A WarmCI's own are left out: they are removed after their containers. Of others the engine does not say whether the
    swarm has them still; who waits for one that it has, waits in vain until the container has ended.
    """
    running = engine.containers([_SERVICE_LABEL], running=True)
    services = engine.services() if running else []
    alive = {service["ID"] for service in services}
    used = {
        network["Target"] for service in services for network in service["Spec"]["TaskTemplate"].get("Networks") or []
    }
    left = [container for container in running if container["Labels"][_SERVICE_LABEL] not in alive]
    on = {
        str(endpoint["NetworkID"]): str(container["Names"][0]).removeprefix("/")
        for container in left
        for endpoint in container["NetworkSettings"]["Networks"].values()
    }
    found = [(engine.network(identity), container) for identity, container in on.items() if identity not in used]
    return [
        Held(str(network["Id"]), str(network["Name"]), container)
        for network, container in found
        if network and network["Scope"] == "swarm" and INSTANCE_LABEL not in (network["Labels"] or {})
    ]


def await_released(engine: Engine, say: Callable[[str], None]) -> None:
    """Return when none is held, or after PATIENT_S: it need not be the subnet that swarm gives next.

    say is told what is waited for, once that takes a second.
    """
    began = last = time.monotonic()
    seen, said = dict[str, str](), ""
    while (found := held(engine)) or (time.monotonic() - last < _GOES_S and any(map(engine.network, seen))):
        seen |= {item.id: f"{item.network} (container {item.container})" for item in found}
        now = time.monotonic()
        last = now if found else last
        if now - began > PATIENT_S:
            return
        what = ", ".join(seen.values())
        if now - began > _SAY_S and what != said:
            said = what
            say(f"waiting: removed networks are still held: {what}")
        stopping.pause(_POLL_S)


def rejection(engine: Engine, stack: str) -> str:
    """The engine's words for it that a task of the stack got a subnet that is still held; empty where none did."""
    errors = (str(task["Status"].get("Err", "")) for task in engine.tasks([f"{NAMESPACE_LABEL}={stack}"]))
    return next((words for words in errors if _REJECTION in words), "")
