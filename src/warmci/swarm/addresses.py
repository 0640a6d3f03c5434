"""Addresses of the networks that apps share: how many are taken, and whether tasks wait for one in vain.

Engines from 29 on say what is taken, by their allocator's own count. Older ones say it nowhere: there what tasks and
services hold is counted, and an address that swarm has lost is not seen.
"""

from __future__ import annotations

import ipaddress
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warmci.base.labels import NAMESPACE_LABEL
from warmci.swarm.timestamps import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from warmci.swarm.engine import Engine

WARN_SHARE = 0.8
WAY_OUT = "a restart of the engine (systemctl restart docker) gives back what swarm has lost; else a larger network"
_RESERVED = 3
"""The network's own, its gateway and its broadcast address: an engine's count has them, too."""
ENDED = {"complete", "shutdown", "failed", "rejected", "remove", "orphaned"}
"""States of a task past `running`: swarm has taken its addresses back."""
NEW_S = 10.0
PATIENT_S = 30.0
"""Where there is still time, for a host under load."""
_EXHAUSTED = re.compile(
    r"ip addresses may be exhausted|missing network attachments|no available (IPv4 )?address"
    r"|could not find an available|address pools?|failed to allocate network IP",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Usage:
    """IPv4 addresses of one network; those of IPv6 are never short."""

    network: str
    taken: int
    size: int
    exact: bool
    """Whether the engine itself says so."""

    @property
    def share(self) -> float:
        return self.taken / self.size if self.size else 0.0

    def __str__(self) -> str:
        return f"{self.network} {self.taken} of {self.size}{'' if self.exact else ' (lost ones are not seen)'}"


def is_exhaustion(text: str) -> bool:
    """Whether these words of an engine say that it has no address or no subnet left."""
    return _EXHAUSTED.search(text) is not None


def shared_usage(engine: Engine) -> list[Usage]:
    """Of each network of the swarm that belongs to no stack, by name."""
    shared = [
        item
        for item in engine.networks()
        if item.get("Scope") == "swarm" and NAMESPACE_LABEL not in (item.get("Labels") or {})
    ]
    if not shared:
        return []
    tasks, services = engine.tasks(), engine.services()
    found = [_usage(engine.network(item["Id"]) or item, tasks, services) for item in shared]
    return sorted(found, key=lambda usage: usage.network)


def _usage(network: Mapping[str, Any], tasks: Iterable[dict[str, Any]], services: Iterable[dict[str, Any]]) -> Usage:
    name = str(network["Name"])
    told = ((network.get("Status") or {}).get("IPAM") or {}).get("Subnets") or {}
    counts = [state for subnet, state in told.items() if ":" not in subnet]
    if counts:
        taken = sum(int(state["IPsInUse"]) for state in counts)
        return Usage(name, taken, taken + sum(int(state["DynamicIPsAvailable"]) for state in counts), exact=True)
    subnets = [item["Subnet"] for item in (network.get("IPAM") or {}).get("Config") or [] if ":" not in item["Subnet"]]
    held = _held(str(network["Id"]), tasks, services)
    size = sum(ipaddress.ip_network(subnet, strict=False).num_addresses for subnet in subnets)
    return Usage(name, held + _RESERVED * len(subnets), size, exact=False)


def _held(network: str, tasks: Iterable[dict[str, Any]], services: Iterable[dict[str, Any]]) -> int:
    """By tasks that have not ended, by virtual addresses of services, and one for each node that has such a task."""
    number, nodes = 0, set[str]()
    for task in tasks:
        if task["Status"]["State"] in ENDED:
            continue
        on_it = [item for item in task.get("NetworksAttachments") or [] if item["Network"]["ID"] == network]
        number += sum(len(item.get("Addresses") or []) for item in on_it)
        if on_it and task.get("NodeID"):
            nodes.add(task["NodeID"])
    virtual = [item for service in services for item in (service.get("Endpoint") or {}).get("VirtualIPs") or []]
    return number + len(nodes) + len([item for item in virtual if item.get("NetworkID") == network])


def _age_s(task: Mapping[str, Any]) -> float:
    return time.time() - moment(task["CreatedAt"])


def waits_in_vain(engine: Engine, stack: str, limit_s: float = NEW_S) -> str:
    """Why tasks of the stack get no address within limit_s, in words; empty where they all have one."""
    for task in engine.tasks([f"{NAMESPACE_LABEL}={stack}"]):
        status = task["Status"]
        if is_exhaustion(str(status.get("Err", ""))):
            return str(status["Err"])
        # Each task is new for a moment, and a crash loop makes new ones all the time.
        if status["State"] == "new" and task["DesiredState"] in {"ready", "running"} and _age_s(task) > limit_s:
            # An allocator that has none says so in the engine's log alone.
            full = [str(usage) for usage in shared_usage(engine) if usage.share >= 1]
            return f"swarm gives a task no address{': ' if full else ''}{', '.join(full)}"
    return ""
