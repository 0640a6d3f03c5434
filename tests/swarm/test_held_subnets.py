"""Who still holds a network that the swarm has removed, and for how long that is waited for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base.labels import INSTANCE_LABEL
from warmci.swarm import held_subnets
from warmci.swarm.held_subnets import PATIENT_S, Held, await_released, held, rejection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmci.swarm.engine import Engine

HELD = "invalid pool request: Pool overlaps with other one on this address space"


def container(name: str, service: str, networks: Mapping[str, str], state: str = "running") -> dict[str, Any]:
    labels = {"com.docker.swarm.service.id": service}
    on = {network: {"NetworkID": identity} for network, identity in networks.items()}
    return {"Names": [f"/{name}"], "State": state, "Labels": labels, "NetworkSettings": {"Networks": on}}


def engine(*containers: dict[str, Any]) -> Engine:
    """One service, on n1. A network's first letter: x is the swarm's, w a WarmCI's, i ingress, h the host's."""
    service = {"ID": "lives", "Spec": {"TaskTemplate": {"Networks": [{"Target": "n1"}]}}}
    plain = {"ID": "plain", "Spec": {"TaskTemplate": {}}}
    scopes = {"x": "swarm", "n": "swarm", "w": "swarm", "i": "swarm", "h": "local"}

    def network(identity: str) -> dict[str, Any] | None:
        labels = {INSTANCE_LABEL: "some"} if identity.startswith("w") else None
        facts = {"Id": identity, "Name": f"net-{identity}", "Labels": labels, "Ingress": identity.startswith("i")}
        return {**facts, "Scope": scopes[identity[0]]} if identity[0] in scopes else None

    found = SimpleNamespace(
        containers=lambda _labels: list(containers),
        services=lambda: [service, plain],
        network=network,
    )
    return cast("Engine", found)


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([], []),
        ([container("a.1", "lives", {"net": "x1"})], []),
        ([container("a.1", "gone", {"net": "n1"})], []),
        ([container("a.1", "gone", {"host": "h1"})], []),
        ([container("a.1", "gone", {"net": "w1"})], []),
        ([container("a.1", "gone", {"ingress": "i1"})], []),
        ([container("a.1", "gone", {"net": ""})], []),
        ([container("a.1", "gone", {"net": "x1"}, "exited")], [Held("x1", "net-x1", "a.1", runs=False)]),
        (
            [container("a.1", "gone", {"net": "x1"}), container("b.1", "gone", {"net": "x1"}, "exited")],
            [Held("x1", "net-x1", "a.1", runs=True)],
        ),
        ([container("a.1", "gone", {"net": "gone meanwhile"})], []),
        ([container("a.1", "gone", {"net": "x1", "shared": "n1"})], [Held("x1", "net-x1", "a.1", runs=True)]),
        (
            [container("a.1", "gone", {"net": "x1"}), container("b.1", "gone too", {"other": "x2"})],
            [Held("x1", "net-x1", "a.1", runs=True), Held("x2", "net-x2", "b.1", runs=True)],
        ),
    ],
)
def test_who_holds_what(containers: list[dict[str, Any]], expected: list[Held]) -> None:
    assert held(engine(*containers)) == expected


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(held_subnets, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(held_subnets, "stopping", SimpleNamespace(pause=self.pause))

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("goes_at", "until"), [(110.0, 110.5), (112.0, 112.5), (9999.0, 115.5)])
def test_it_waits_until_the_node_has_it_no_more(monkeypatch: pytest.MonkeyPatch, goes_at: float, until: float) -> None:
    """Which is a moment after its last container has ended; a network that the swarm still has never goes."""
    clock, said = Clock(monkeypatch), list[str]()
    left = [container("old_app.1", "gone", {"old_net": "x1"})]
    swarm = cast("Any", engine())
    swarm.containers = lambda _labels: left if clock.now < 110 else []
    there = swarm.network
    swarm.network = lambda identity: there(identity) if clock.now < goes_at else None
    await_released(swarm, said.append)
    assert 110 <= clock.now <= until
    assert clock.now >= min(goes_at, 114.5)
    assert said == ["waiting: removed networks are still held: net-x1 (container old_app.1)"]


def test_nobody_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = Clock(monkeypatch), list[str]()
    await_released(engine(container("a.1", "lives", {"net": "n1"})), said.append)
    assert (clock.now, said) == (100.0, [])


@pytest.mark.parametrize(("goes_at", "until"), [(100.4, 100.5), (9999.0, 105.5)])
def test_one_that_has_ended_is_given_a_moment(monkeypatch: pytest.MonkeyPatch, goes_at: float, until: float) -> None:
    clock, said = Clock(monkeypatch), list[str]()
    swarm = cast("Any", engine(container("a.1", "gone", {"net": "x1"}, "exited")))
    there = swarm.network
    swarm.network = lambda identity: there(identity) if clock.now < goes_at else None
    await_released(swarm, said.append)
    assert min(goes_at, 105) <= clock.now <= until
    assert len(said) == (goes_at > 101), "what takes less than a second is not said"


def test_its_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    await_released(engine(container("a.1", "gone", {"net": "x1"})), lambda _: None)
    assert PATIENT_S < clock.now - 100 < PATIENT_S + 2


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([], ""),
        ([("app", "failed", "task: non-zero exit (1)")], ""),
        ([("app", "rejected", HELD)], HELD),
        ([("app", "rejected", HELD), ("app", "ready", "")], HELD),
        ([("app", "rejected", HELD), ("app", "failed", "task: non-zero exit (1)")], ""),
        ([("app", "shutdown", ""), ("app", "rejected", HELD), ("db", "failed", "task: non-zero exit (1)")], HELD),
    ],
)
def test_the_engines_word_for_it(tasks: list[tuple[str, str, str]], words: str) -> None:
    """Of what ended last: an app that crashes after a rejection is to blame itself."""
    found = [
        {"ServiceID": service, "CreatedAt": f"2026-01-01T00:00:0{number}Z", "Status": {"State": state, "Err": error}}
        for number, (service, state, error) in enumerate(tasks)
    ]
    assert rejection(cast("Engine", SimpleNamespace(tasks=lambda _: found[::-1])), "demo") == words
