"""Which enrolled recipes are this node's, where the nodes of one swarm share a night.

By rendezvous hashing over the live workers (Thaler and Ravishankar, 1998): a node that joins or dies moves its own
share only. What a node plans, and what it has done, is told on the swarm's notice board.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from warmci.swarm import noticeboard
from warmci.swarm.nodes import list_nodes, require_worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from warmci.swarm.engine import Engine
    from warmci.swarm.nodes import Node
    from warmci.swarm.noticeboard import Notice


_SILENT = timedelta(minutes=30)
"""A sweep from which nothing was heard for so long is taken for stopped: nobody waits for it."""


def owner(recipe: str, nodes: Iterable[str]) -> str:
    """The one of the nodes (ids) that the recipe falls to, whatever their order."""
    return max(nodes, key=lambda node: (hashlib.sha256(f"{node}/{recipe}".encode()).digest(), node))


@dataclass(frozen=True)
class Board:
    """The night as the notices tell it: recipes planned and done, by node id."""

    planned: dict[str, frozenset[str]]
    done: dict[str, frozenset[str]]

    def finished_elsewhere(self, node: str) -> frozenset[str]:
        return frozenset().union(*(recipes for other, recipes in self.done.items() if other != node))

    def taken_elsewhere(self, node: str, live: Sequence[str]) -> frozenset[str]:
        """Planned by another node that lives."""
        return frozenset().union(*(self.planned.get(other, frozenset()) for other in live if other != node))


def _board(notices: Iterable[Notice]) -> Board:
    planned: dict[str, frozenset[str]] = {}
    done: dict[str, frozenset[str]] = {}
    for notice in notices:
        if notice.kind == "plan":
            planned[notice.node] = planned.get(notice.node, frozenset()) | frozenset(json.loads(notice.text))
        else:
            done[notice.node] = done.get(notice.node, frozenset()) | {notice.subject}
    return Board(planned, done)


def first_share(recipes: Iterable[str], board: Board, node: str, live: Sequence[str]) -> list[str]:
    """What the node begins its night with: what falls to it, but what another had planned before this one joined."""
    taken = board.taken_elsewhere(node, live)
    return [recipe for recipe in recipes if owner(recipe, live) == node and recipe not in taken]


def fallen_to(recipes: Iterable[str], board: Board, node: str, live: Sequence[str]) -> list[str]:
    """What falls to the node in the night: planned by nobody who lives, done by nobody, and now its own."""
    gone = board.taken_elsewhere(node, live) | board.planned.get(node, frozenset())
    gone |= frozenset().union(*board.done.values())
    return [recipe for recipe in recipes if owner(recipe, live) == node and recipe not in gone]


class Shard:
    """The part of one node in the night."""

    def __init__(self, engine: Engine, recipes: Sequence[str]) -> None:
        """Raises InfraError where this node is no worker."""
        self._engine, self._recipes = engine, recipes
        self.node: Node = require_worker(engine)

    def _live(self) -> list[Node]:
        return [node for node in list_nodes(self._engine) if node.worker and node.live]

    def _board(self) -> Board:
        return _board(noticeboard.read(self._engine, "plan", "done"))

    def begin(self, sweep: str) -> list[str]:
        """The recipes of this node; says so to the others, and takes down what it said last night."""
        noticeboard.take_down(self._engine, self.node.id, "plan", "claim", "done")
        share = first_share(self._recipes, self._board(), self.node.id, [node.id for node in self._live()])
        self._plan(sweep, share)
        return share

    def resume(self, sweep: str, recipes: Sequence[str]) -> list[str]:
        """What is left of them for this node: others may have done some while it was away, or are about to."""
        board = self._board()
        live = [node.id for node in self._live()]
        gone = board.finished_elsewhere(self.node.id) | board.taken_elsewhere(self.node.id, live)
        left = [recipe for recipe in recipes if recipe not in gone]
        noticeboard.take_down(self._engine, self.node.id, "plan")
        self._plan(sweep, left)
        return left

    def _plan(self, sweep: str, recipes: Sequence[str]) -> None:
        noticeboard.put_up(self._engine, "plan", self.node.id, sweep, json.dumps(list(recipes)))

    def done(self, sweep: str, recipe: str) -> None:
        noticeboard.put_up(self._engine, "done", self.node.id, recipe, once=f"{self.node.id}/{sweep}")

    def fallen(self, sweep: str) -> list[str]:
        """Recipes of nodes that died in the night and that are now this node's: each is claimed once."""
        board = self._board()
        moved = fallen_to(self._recipes, board, self.node.id, [node.id for node in self._live()])
        mine = [recipe for recipe in moved if self._claim(recipe, board)]
        if mine:
            self._plan(sweep, mine)
        return mine

    def _claim(self, recipe: str, board: Board) -> bool:
        """By who had planned it: two that see different nodes alive do not both take it."""
        before = sorted(node for node, recipes in board.planned.items() if recipe in recipes)
        return noticeboard.put_up(self._engine, "claim", self.node.id, recipe, once="/".join(before) or "nobody")

    def others_at_work(self) -> list[str]:
        """Names of live nodes that have not done all that they planned: who of them dies leaves work."""
        notices = noticeboard.read(self._engine, "plan", "done")
        board = _board(notices)
        everything = frozenset().union(*board.done.values())
        oldest = datetime.now(UTC) - _SILENT
        heard = {notice.node for notice in notices if notice.at > oldest}
        return [
            node.name
            for node in self._live()
            if not node.mine and node.id in heard and board.planned.get(node.id, frozenset()) - everything
        ]

    def stop(self) -> None:
        """What was planned is no longer: the others need not wait for it, and do not take it."""
        noticeboard.take_down(self._engine, self.node.id, "plan")
