"""The swarm's nodes: which of them is this engine's, and which of them are workers of WarmCI.

Each WarmCI has its state directory, and so the volumes of its runs, on the node of its own engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warmci.base.errors import InfraError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmci.swarm.engine import Engine

WORKER_LABEL = "warmci.worker"
"""`true` on each node that has a WarmCI of its own; the operator puts it there."""


@dataclass(frozen=True)
class Node:
    id: str
    name: str
    live: bool
    """Whether swarm hears of it; a drained one does, and is to do nothing all the same."""
    worker: bool
    mine: bool


def list_nodes(engine: Engine) -> list[Node]:
    """All of the swarm, by name."""
    mine = engine.node_id()
    return sorted((_node(item, mine) for item in engine.nodes()), key=lambda node: (node.name, node.id))


def _node(item: Mapping[str, Any], mine: str) -> Node:
    spec, state = item["Spec"], item.get("Status") or {}
    return Node(
        id=str(item["ID"]),
        name=str((item.get("Description") or {}).get("Hostname", "")),
        live=state.get("State") == "ready" and spec.get("Availability") == "active",
        worker=str((spec.get("Labels") or {}).get(WORKER_LABEL, "")).lower() == "true",
        mine=item["ID"] == mine,
    )


def home(engine: Engine) -> str:
    """The id of this engine's node where the swarm has others beside it; else empty, for then there is no choice."""
    return engine.node_id() if len(engine.nodes()) > 1 else ""


def require_worker(engine: Engine) -> Node:
    """The engine's own node. Raises InfraError, with what to do, where it is no worker or not to work."""
    here = next((node for node in list_nodes(engine) if node.mine), None)
    if here is None:
        raise InfraError("the engine is in no swarm's list of nodes", hint="docker node ls")
    if not here.worker:
        raise InfraError(
            f"node {here.name} is no worker of WarmCI",
            hint=f"docker node update --label-add {WORKER_LABEL}=true {here.id}",
        )
    if not here.live:
        raise InfraError(
            f"node {here.name} is not active in the swarm", hint=f"docker node update --availability active {here.id}"
        )
    return here
