"""What the nodes of one swarm say of themselves: each puts its status up after a sweep, any of them reads all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from warmci.base.models import Record
from warmci.operate.status import Status, look
from warmci.swarm import noticeboard
from warmci.swarm.nodes import list_nodes

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.swarm.engine import Engine


class NodeStatus(Record):
    """One worker of the swarm."""

    id: str
    name: str
    live: bool
    here: bool
    """Whether it is the one that was asked: its status is of now."""
    status: Status | None = None
    """As of its last sweep; None where none was put up, or one that this version cannot read."""


class Everywhere(Record):
    """`warmci status --all --json`."""

    schema_version: Literal[1] = 1
    nodes: tuple[NodeStatus, ...]


def put_up(settings: Settings, engine: Engine, node: str) -> None:
    """Let the others see this node's status, in place of the one before."""
    text = look(settings).model_dump_json()
    noticeboard.take_down(engine, node, "status")
    noticeboard.put_up(engine, "status", node, "", text)


def look_everywhere(settings: Settings, engine: Engine) -> Everywhere:
    """Every worker by name, this node at once."""
    said = {notice.node: notice.text for notice in noticeboard.read(engine, "status")}
    found = []
    for node in list_nodes(engine):
        if not node.worker and not node.mine:
            continue
        status = look(settings) if node.mine else _read(said.get(node.id, ""))
        found.append(NodeStatus(id=node.id, name=node.name, live=node.live, here=node.mine, status=status))
    return Everywhere(nodes=tuple(found))


def _read(text: str) -> Status | None:
    try:
        return Status.model_validate_json(text)
    except ValidationError:
        return None
