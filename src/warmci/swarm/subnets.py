"""Subnets that a stack cannot have: chosen by its compose file (`ipam`) and taken.

The swarm gives each to one network at a time. It says so nowhere but in the daemon's log: tasks on the second network
stay new for ever.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from itertools import combinations
from typing import TYPE_CHECKING, Any

from warmci.base.errors import InfraError, RecipeFailedError
from warmci.base.labels import NAMESPACE_LABEL, RUN_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from warmci.swarm.engine import Engine

    Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

_OWN_CHOICE = "or leave the subnet to swarm: without ipam in the compose file each stack gets one of its own"


def _chosen(document: Mapping[str, Any]) -> dict[str, list[Subnet]]:
    """Network as the compose file calls it to the subnets that it chooses; those that swarm chooses are left out."""
    found = {name: list(_read((body.get("ipam") or {}).get("config"), "subnet")) for name, body in _made(document)}
    return {name: subnets for name, subnets in found.items() if subnets}


def real_names(stack: str, document: Mapping[str, Any]) -> set[str]:
    """What the engine calls the networks of the stack."""
    return {str(body.get("name") or f"{stack}_{name}") for name, body in _made(document)}


def _made(document: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Networks that `docker stack deploy` makes: those that a service is on, or `default`, if they are not external."""
    networks = {"default": {}, **(document.get("networks") or {})}
    services = (document.get("services") or {}).values()
    used = {name for service in services for name in service.get("networks") or ("default",)}
    return [(name, body or {}) for name, body in networks.items() if name in used and not (body or {}).get("external")]


def clash(engine: Engine, stack: str, document: Mapping[str, Any]) -> InfraError | RecipeFailedError | None:
    """Why a network of the stack cannot have its subnet: the first other one, its own or the swarm's, that overlaps."""
    if not (chosen := _chosen(document)):
        return None
    each = [(name, subnet) for name, subnets in chosen.items() for subnet in subnets]
    for (name, subnet), (other_name, taken) in combinations(each, 2):
        if _overlap(subnet, taken):
            what = f"network {other_name} cannot have its subnet {taken}: {name} of the same compose file has {subnet}"
            return RecipeFailedError(what, hint=f"choose subnets that do not overlap, {_OWN_CHOICE}")
    for other in engine.networks():
        labels = other.get("Labels") or {}
        if other.get("Scope") != "swarm" or labels.get(NAMESPACE_LABEL) == stack:
            continue
        for taken in _read((other.get("IPAM") or {}).get("Config"), "Subnet"):
            for name, subnet in each:
                if _overlap(subnet, taken):
                    return _error(name, subnet, str(other["Name"]), taken, str(labels.get(RUN_LABEL) or ""))
    return None


def _overlap(one: Subnet, other: Subnet) -> bool:
    return one.version == other.version and one.overlaps(other)


def _error(name: str, subnet: Subnet, other: str, taken: Subnet, run: str) -> InfraError:
    whose = f"{other} of run {run}" if run else other
    way_out = (
        f"try again when run {run} has ended (warmci locks)"
        if run
        else f"remove the network {other} (one that was removed stays until its last container has ended)"
    )
    return InfraError(
        f"network {name} cannot have its subnet {subnet}: {whose} has {taken}", hint=f"{way_out}, {_OWN_CHOICE}"
    )


def _read(config: Iterable[Mapping[str, Any]] | None, key: str) -> Iterator[Subnet]:
    """What is no subnet is swarm's to refuse."""
    for item in config or ():
        with suppress(ValueError):
            yield ipaddress.ip_network(str(item.get(key) or ""), strict=False)
