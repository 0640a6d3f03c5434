"""Subnets of networks that are gone from the swarm, while a container on this node still holds them.

Current engines give the lowest free subnet, at once. Who removes a network while a container on it still ends (`docker
stack rm` does) leaves it with the node until then; where a new network is given its subnet meanwhile, each task there
is rejected (moby: "Pool overlaps with other one on this address space"). So a stack with new networks waits for it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from warmci.base import stopping
from warmci.base.labels import INSTANCE_LABEL, NAMESPACE_LABEL
from warmci.swarm.addresses import ENDED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from warmci.swarm.engine import Engine

PATIENT_S = 120.0
"""More than most containers get to end."""
WAY_OUT = (
    "try again: the subnet is most likely that of a removed network whose last container was still ending; where it"
    " stays so: docker network ls for one that overlaps, or systemctl restart docker"
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
    runs: bool
    """Else its container has ended, and the node is about to remove the network."""


def held(engine: Engine) -> list[Held]:
    """Networks of the swarm that no service is on, each with a container that its service has left; few, or none.

    A WarmCI's own are left out: they are removed after their containers. Of others the engine does not say whether the
    swarm has them still; who waits for one that it has, waits in vain until the container has ended.
    """
    containers = engine.containers([_SERVICE_LABEL])
    services = engine.services() if containers else []
    alive = {service["ID"] for service in services}
    used = {
        network["Target"] for service in services for network in service["Spec"]["TaskTemplate"].get("Networks") or []
    }
    on: dict[str, dict[str, Any]] = {}
    for container in sorted(containers, key=lambda item: str(item["State"]) == "running"):
        if container["Labels"][_SERVICE_LABEL] not in alive:
            endpoints = (container.get("NetworkSettings") or {}).get("Networks") or {}
            on |= {str(endpoint["NetworkID"]): container for endpoint in endpoints.values() if endpoint["NetworkID"]}
    found = [(engine.network(identity), container) for identity, container in on.items() if identity not in used]
    return [
        Held(str(network["Id"]), str(network["Name"]), _name(container), str(container["State"]) == "running")
        for network, container in found
        if network and network["Scope"] == "swarm" and not network.get("Ingress")
        if INSTANCE_LABEL not in (network["Labels"] or {})
    ]


def _name(container: Mapping[str, Any]) -> str:
    names = container["Names"] or [container["Id"]]
    return str(names[0]).removeprefix("/")


def await_released(engine: Engine, say: Callable[[str], None]) -> None:
    """Return when none is held, or after PATIENT_S: it need not be the subnet that swarm gives next.

    say is told what is waited for, once that takes a second.
    """
    began = last = time.monotonic()
    seen, said = dict[str, str](), ""
    while True:
        found, now = held(engine), time.monotonic()
        seen |= {item.id: f"{item.network} (container {item.container})" for item in found}
        if any(item.runs for item in found):
            last = now
        elif now - last >= _GOES_S or not any(map(engine.network, seen)):
            return
        if now - began > PATIENT_S:
            return
        what = ", ".join(seen.values())
        if now - began > _SAY_S and what != said:
            said = what
            say(f"waiting: removed networks are still held: {what}")
        stopping.pause(_POLL_S)


def rejection(engine: Engine, stack: str) -> str:
    """The engine's words for it that a subnet is still held; empty where no service's last task ended by that."""
    last: dict[str, dict[str, Any]] = {}
    for task in sorted(engine.tasks([f"{NAMESPACE_LABEL}={stack}"]), key=lambda task: str(task["CreatedAt"])):
        if task["Status"]["State"] in ENDED:
            last[str(task["ServiceID"])] = task
    errors = (str(task["Status"].get("Err", "")) for task in last.values())
    return next((words for words in errors if _REJECTION in words), "")
