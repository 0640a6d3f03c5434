"""Which services may be upgraded by way of zero replicas, and what is submitted for them."""

from __future__ import annotations

import copy
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base.errors import InfraError
from warmci.swarm import by_zero
from warmci.swarm.by_zero import Monitor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from warmci.recipe.render import Rendered
    from warmci.swarm.engine import Engine


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


class _Stopping:
    """An engine that answers a stop long after the container's end."""

    def __init__(self, *, tells: bool, fails: bool = False) -> None:
        self.tells, self.fails = tells, fails
        self.did: list[str] = []
        self.answered = threading.Event()
        self._ended: dict[str, int] = {}

    def containers(self, _labels: Sequence[str], *, running: bool) -> list[dict[str, Any]]:
        assert running
        return [{"Id": "c", "Labels": {"com.docker.swarm.service.name": "x_app"}}]

    @contextmanager
    def exit_codes(self, _labels: Sequence[str]) -> Iterator[dict[str, int]]:
        yield self._ended

    def stop_containers(self, grace_s: dict[str, int]) -> None:
        assert grace_s == {"c": 7}
        self.did.append("end")
        if self.tells:
            self._ended["c"] = 0
            assert self.answered.wait(10)
        if self.fails:
            raise InfraError("it does not stop")
        self.did.append("answer")

    def scale(self, service: str, replicas: int) -> None:
        self.did.append(f"{service} {replicas}")
        self.answered.set()


@pytest.mark.parametrize(
    ("tells", "order"), [(True, ["end", "x_app 1", "answer"]), (False, ["end", "answer", "x_app 1"])]
)
def test_it_is_started_again_once_the_old_container_has_ended(order: list[str], *, tells: bool) -> None:
    engine = _Stopping(tells=tells)
    by_zero.start_again(cast("Engine", engine), "x", ["app"], {"x_app": 7})
    assert engine.did == order


def test_nothing_is_started_beside_a_container_that_does_not_stop() -> None:
    engine = _Stopping(tells=False, fails=True)
    with pytest.raises(InfraError, match="does not stop"):
        by_zero.start_again(cast("Engine", engine), "x", ["app"], {"x_app": 7})
    assert engine.did == ["end"]
