"""Which services may be upgraded by way of zero replicas, and what is submitted for them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.swarm import by_zero
from warmci.swarm.by_zero import Monitor

if TYPE_CHECKING:
    from warmci.recipe.render import Rendered


class Document:
    """All that is looked at of what is rendered."""

    def __init__(self, **services: dict[str, Any]) -> None:
        self.document = {"services": copy.deepcopy(services)}


def found(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Monitor | None]:
    same = {"image": "db:1"}
    old, new = Document(app=before, db=same), Document(app=after, db=same, new={"image": "new:1"})
    return by_zero.services(cast("Rendered", old), cast("Rendered", new))


def app(image: str, **deploy: Any) -> dict[str, Any]:
    return {"image": image, "deploy": deploy}


@pytest.mark.parametrize(
    "deploy",
    [
        {},
        {"replicas": 1, "mode": "replicated"},
        {"update_config": {"order": "stop-first", "parallelism": 1}},
        {"placement": {"constraints": ["node.role == manager"]}},
    ],
)
def test_one_replica_stop_first(deploy: dict[str, Any]) -> None:
    assert found(app("a:1", **deploy), app("a:2", **deploy)) == {"app": Monitor(5.0)}


@pytest.mark.parametrize(
    "deploy",
    [
        {"replicas": 2},
        {"replicas": 0},
        {"mode": "global"},
        {"mode": "replicated-job"},
        {"update_config": {"order": "start-first"}},
    ],
)
def test_whatever_else_is_swarms_own(deploy: dict[str, Any]) -> None:
    assert found(app("a:1", **deploy), app("a:2", **deploy)) == {}
    assert found(app("a:1"), app("a:2", **deploy)) == {}
    assert found(app("a:1", **deploy), app("a:2")) == {}


def test_what_keeps_its_task_is_not_stopped() -> None:
    assert found(app("a:1"), app("a:1")) == {}
    assert found(app("a:1"), app("a:1", labels={"x": "y"})) == {}
    assert found(app("a:1"), app("a:1", placement={"constraints": ["node.role == manager"]})) == {}
    ports = [{"target": 80, "published": 8080, "mode": "host"}]
    assert found({**app("a:1"), "ports": ports}, {**app("a:2"), "ports": ports}) == {}


@pytest.mark.parametrize(
    ("update", "monitor"),
    [
        ({"monitor": "500ms"}, Monitor(0.5)),
        ({"monitor": "0s"}, Monitor(5.0)),
        ({"failure_action": "rollback", "monitor": "1m"}, Monitor(60.0)),
        ({"failure_action": "continue"}, None),
        ({"max_failure_ratio": 1.0}, None),
        ({"max_failure_ratio": 0.5}, Monitor(5.0)),
    ],
)
def test_swarms_measure_of_a_failed_update(update: dict[str, Any], monitor: Monitor | None) -> None:
    assert found(app("a:1"), app("a:2", update_config=update)) == {"app": monitor}


def test_what_is_submitted_first_leaves_the_document_as_it_is() -> None:
    document = Document(app=app("a:2", labels={"x": "y"}), db={"image": "db:1"}).document
    before = copy.deepcopy(document)
    sent = by_zero.without_replicas(document, {"app"})
    assert document == before
    assert sent["services"]["app"] == app("a:2", labels={"x": "y"}, replicas=0)
    assert sent["services"]["db"] == before["services"]["db"]
