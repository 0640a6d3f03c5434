"""Notices of the nodes to each other: which count, and whose are taken down."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base.labels import NAMESPACE_LABEL
from warmci.swarm import noticeboard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from warmci.swarm.engine import Engine


class Configs:
    """The swarm's configs, as the engine lists them."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> bool:
        if any(item["Spec"]["Name"] == name for item in self.items):
            return False
        spec = {"Name": name, "Labels": dict(labels), "Data": base64.b64encode(data).decode()}
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
        self.items.append({"ID": f"id-{len(self.items)}", "CreatedAt": at, "Spec": spec})
        return True

    def configs(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        return [item for item in self.items if set(labels) <= set(item["Spec"]["Labels"])]

    def remove_configs(self, ids: Sequence[str]) -> None:
        self.items = [item for item in self.items if item["ID"] not in ids]

    def grow_old(self, by: timedelta) -> None:
        at = (datetime.now(UTC) - by).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
        self.items = [{**item, "CreatedAt": at} for item in self.items]


@pytest.fixture
def board() -> Configs:
    return Configs()


@pytest.fixture
def engine(board: Configs) -> Engine:
    return cast("Engine", board)


def test_a_notice_is_read_as_it_was_put_up(engine: Engine) -> None:
    assert noticeboard.put_up(engine, "plan", "node-a", "sweep-1", '["demo"]')
    assert noticeboard.put_up(engine, "status", "node-b", "")
    (plan,) = noticeboard.read(engine, "plan", "done")
    assert (plan.kind, plan.node, plan.subject, plan.text) == ("plan", "node-a", "sweep-1", '["demo"]')
    assert {notice.node for notice in noticeboard.read(engine, "plan", "status")} == {"node-a", "node-b"}


def test_the_first_of_a_claim_is_taken(engine: Engine) -> None:
    assert noticeboard.put_up(engine, "claim", "node-a", "demo", once="dead")
    assert not noticeboard.put_up(engine, "claim", "node-b", "demo", once="dead")
    assert noticeboard.put_up(engine, "claim", "node-b", "other", once="dead")


def test_what_is_of_an_earlier_night_does_not_count_but_a_status(engine: Engine, board: Configs) -> None:
    noticeboard.put_up(engine, "plan", "node-a", "sweep-1", "[]")
    noticeboard.put_up(engine, "status", "node-a", "")
    board.grow_old(noticeboard.KEPT + timedelta(minutes=1))
    assert [notice.kind for notice in noticeboard.read(engine, "plan", "status")] == ["status"]
    noticeboard.take_down(engine, "node-b", "claim")
    assert [notice.kind for notice in noticeboard.read(engine, "plan", "status")] == ["status"]
    assert len(board.items) == 1, "the old plan is gone, whose ever it was"


def test_a_node_takes_down_its_own(engine: Engine) -> None:
    for node in ("node-a", "node-b"):
        noticeboard.put_up(engine, "plan", node, "sweep-1", "[]")
        noticeboard.put_up(engine, "done", node, "demo")
    noticeboard.take_down(engine, "node-a", "plan")
    found = {(notice.node, notice.kind) for notice in noticeboard.read(engine, "plan", "done")}
    assert found == {("node-a", "done"), ("node-b", "plan"), ("node-b", "done")}


def test_a_config_of_a_stack_is_no_notice(engine: Engine, board: Configs) -> None:
    noticeboard.put_up(engine, "plan", "node-a", "sweep-1", "[]")
    (own,) = board.items
    labels = {**own["Spec"]["Labels"], NAMESPACE_LABEL: "demo-stack"}
    planted = {**own, "ID": "planted", "Spec": {**own["Spec"], "Name": "demo-stack_x", "Labels": labels}}
    board.items.append(planted)
    assert [notice.id for notice in noticeboard.read(engine, "plan")] == [own["ID"]]
    noticeboard.take_down(engine, "node-a", "plan")
    assert board.items == [planted], "the stack's own removal takes it away"
