"""What the WarmCIs of one swarm let each other know, as swarm configs: nothing else is shared, and nothing listens.

Swarm makes a name once, on whichever manager: so a notice is a claim as well. A notice outlives its node.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from warmci.base import names
from warmci.base.labels import NAMESPACE_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmci.swarm.engine import Engine

Kind = Literal["plan", "claim", "done", "status"]
_KIND_LABEL = "org.warmci.notice"
_NODE_LABEL = "org.warmci.node"
_SUBJECT_LABEL = "org.warmci.subject"
KEPT = timedelta(hours=12)
"""How long the notices of one night count."""


@dataclass(frozen=True)
class Notice:
    id: str
    kind: str
    node: str
    """Id of the node that put it up."""
    subject: str
    """The recipe, or the sweep of a plan."""
    text: str
    at: datetime


def put_up(engine: Engine, kind: Kind, node: str, subject: str, text: str = "", *, once: str = "") -> bool:
    """Whether it is ours: of those that say the same `once`, the first alone is taken."""
    key = hashlib.sha256(f"{kind}/{once}/{subject}".encode()).hexdigest()[:24] if once else names.new_id()
    labels = {_KIND_LABEL: kind, _NODE_LABEL: node, _SUBJECT_LABEL: subject}
    return engine.create_config(f"warmci-{kind}-{key}", text.encode() or b"-", labels)


def read(engine: Engine, *kinds: Kind) -> list[Notice]:
    """Of these kinds, oldest first; without those of an earlier night, but for a node's status."""
    oldest = datetime.now(UTC) - KEPT
    fresh = [item for item in _all(engine) if item.kind in kinds and (item.kind == "status" or item.at > oldest)]
    return sorted(fresh, key=lambda notice: notice.at)


def take_down(engine: Engine, node: str, *kinds: Kind) -> None:
    """The node's own of these kinds, and what is too old to count, whose ever it was."""
    oldest = datetime.now(UTC) - KEPT
    over = [n for n in _all(engine) if (n.node == node and n.kind in kinds) or (n.kind != "status" and n.at <= oldest)]
    engine.remove_configs([notice.id for notice in over])


def _all(engine: Engine) -> list[Notice]:
    """Without configs of a stack, whatever they say: a recipe writes those, and is no node."""
    found = engine.configs([_KIND_LABEL])
    return [_notice(item) for item in found if NAMESPACE_LABEL not in (item["Spec"].get("Labels") or {})]


def _notice(item: Mapping[str, Any]) -> Notice:
    spec = item["Spec"]
    labels = spec.get("Labels") or {}
    return Notice(
        id=str(item["ID"]),
        kind=str(labels.get(_KIND_LABEL, "")),
        node=str(labels.get(_NODE_LABEL, "")),
        subject=str(labels.get(_SUBJECT_LABEL, "")),
        text=base64.b64decode(spec.get("Data") or "").decode("utf-8", errors="replace"),
        at=datetime.fromisoformat(item["CreatedAt"]),
    )
