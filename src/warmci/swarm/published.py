"""Who publishes a port of this host, service or plain container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmci.swarm.engine import Engine

_SERVICE_LABEL = "com.docker.swarm.service.name"


@dataclass(frozen=True)
class Publisher:
    name: str
    image: str
    words: tuple[str, ...]
    """What it is started with."""
    networks: frozenset[str]
    labels: Mapping[str, str]


def publishers(engine: Engine, port: int) -> list[Publisher]:
    """Services that want the TCP port, and running containers of nobody's service that have it.

    One that uses the host's network publishes nothing that the engine could tell of, and so is not among them.
    """
    names = {str(item["Id"]): str(item["Name"]) for item in engine.networks()}
    found = [_of_service(item, names) for item in engine.services() if port in _wanted(item)]
    for item in engine.containers(running=True):
        labels = item.get("Labels") or {}
        if _SERVICE_LABEL not in labels and any(entry.get("PublicPort") == port for entry in item.get("Ports") or []):
            found.append(_of_container(item))
    return found


def _wanted(service: dict[str, Any]) -> set[int]:
    wanted, given = service["Spec"].get("EndpointSpec") or {}, service.get("Endpoint") or {}
    entries = [*(wanted.get("Ports") or []), *(given.get("Ports") or [])]
    return {int(entry.get("PublishedPort") or 0) for entry in entries if entry.get("Protocol", "tcp") == "tcp"}


def _of_service(item: dict[str, Any], names: Mapping[str, str]) -> Publisher:
    task = item["Spec"]["TaskTemplate"]
    container = task["ContainerSpec"]
    targets = [str(entry["Target"]) for entry in task.get("Networks") or item["Spec"].get("Networks") or []]
    return Publisher(
        str(item["Spec"]["Name"]),
        str(container["Image"]),
        tuple(map(str, [*(container.get("Command") or []), *(container.get("Args") or [])])),
        frozenset(names.get(target, target) for target in targets),
        item["Spec"].get("Labels") or {},
    )


def _of_container(item: dict[str, Any]) -> Publisher:
    return Publisher(
        str(item["Names"][0]).removeprefix("/"),
        str(item["Image"]),
        tuple(str(item.get("Command") or "").split()),
        frozenset((item.get("NetworkSettings") or {}).get("Networks") or ()),
        item.get("Labels") or {},
    )
