"""Subnets that a stack cannot have: one that its compose file chooses (`ipam`), or that its node still has.

The swarm gives each to one network at a time. It says so nowhere but in the daemon's log: tasks on the second network
stay new for ever.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from itertools import combinations
from typing import TYPE_CHECKING, Any

from warmci.base.errors import InfraError
from warmci.base.labels import NAMESPACE_LABEL, RUN_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from warmci.swarm.engine import Engine

    Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

HELD_WAY_OUT = "systemctl restart docker: the engine still has a network of that subnet, which swarm takes for free"
_OWN_CHOICE = "or leave the subnet to swarm: without ipam in the compose file each stack gets one of its own"


def wanted(document: Mapping[str, Any]) -> dict[str, list[Subnet]]:
    """Network as the compose file calls it to the subnets that it chooses; those that swarm chooses are left out."""
    networks = {name: body or {} for name, body in (document.get("networks") or {}).items()}
    found = {name: list(_read((body.get("ipam") or {}).get("config"), "subnet")) for name, body in networks.items()}
    return {name: subnets for name, subnets in found.items() if subnets}


def clash(engine: Engine, stack: str, document: Mapping[str, Any]) -> InfraError | None:
    """Why a network of the stack cannot have its subnet: the first other one of the swarm that overlaps with it."""
    if not (chosen := wanted(document)):
        return None
    for other in engine.networks():
        labels = other.get("Labels") or {}
        if other.get("Scope") != "swarm" or labels.get(NAMESPACE_LABEL) == stack:
            continue
        for taken in _read((other.get("IPAM") or {}).get("Config"), "Subnet"):
            for name, subnets in chosen.items():
                for subnet in subnets:
                    if subnet.version == taken.version and subnet.overlaps(taken):
                        return _error(name, subnet, str(other["Name"]), taken, str(labels.get(RUN_LABEL) or ""))
    return None


def held_by_the_node(engine: Engine, stack: str, document: Mapping[str, Any]) -> str:
    """The engine's words for it that a node still has a network of a subnet that swarm takes for free; or nothing.

    It says the same of two networks of one stack that overlap, which the compose file has to mend.
    (Seen on moby 2.0.0-beta.24, for all stacks that were given one subnet, until the engine ended.)
    """
    chosen = [subnet for subnets in wanted(document).values() for subnet in subnets]
    if any(a.version == b.version and a.overlaps(b) for a, b in combinations(chosen, 2)):
        return ""
    errors = (str(task["Status"].get("Err", "")) for task in engine.tasks([f"{NAMESPACE_LABEL}={stack}"]))
    return next((words for words in errors if "Pool overlaps with other one" in words), "")


def _error(name: str, subnet: Subnet, other: str, taken: Subnet, run: str) -> InfraError:
    whose = f"{other} of run {run}" if run else other
    way_out = f"try again when run {run} has ended (warmci locks)" if run else f"remove the network {other}"
    return InfraError(
        f"network {name} cannot have its subnet {subnet}: {whose} has {taken}", hint=f"{way_out}, {_OWN_CHOICE}"
    )


def _read(config: Iterable[Mapping[str, Any]] | None, key: str) -> Iterator[Subnet]:
    """What is no subnet is swarm's to refuse."""
    for item in config or ():
        with suppress(ValueError):
            yield ipaddress.ip_network(str(item.get(key) or ""), strict=False)
