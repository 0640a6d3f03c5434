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


def container(name: str, service: str, networks: Mapping[str, str]) -> dict[str, Any]:
    labels = {"com.docker.swarm.service.id": service}
    on = {network: {"NetworkID": identity} for network, identity in networks.items()}
    return {"Names": [f"/{name}"], "Labels": labels, "NetworkSettings": {"Networks": on}}


def engine(*containers: dict[str, Any]) -> Engine:
    """One service, on n1. Networks whose id begins with x are the swarm's, with w a WarmCI's, with h neither."""
    service = {"ID": "lives", "Spec": {"TaskTemplate": {"Networks": [{"Target": "n1"}]}}}
    plain = {"ID": "plain", "Spec": {"TaskTemplate": {}}}
    scopes = {"x": "swarm", "n": "swarm", "w": "swarm", "h": "local"}

    def network(identity: str) -> dict[str, Any] | None:
        labels = {INSTANCE_LABEL: "some"} if identity.startswith("w") else None
        facts = {"Id": identity, "Name": f"net-{identity}", "Labels": labels}
        return {**facts, "Scope": scopes[identity[0]]} if identity[0] in scopes else None

    found = SimpleNamespace(
        containers=lambda _labels, *, running: list(containers) if running else [],
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
        ([container("a.1", "gone", {"net": "gone meanwhile"})], []),
        ([container("a.1", "gone", {"net": "x1", "shared": "n1"})], [Held("x1", "net-x1", "a.1")]),
        (
            [container("a.1", "gone", {"net": "x1"}), container("b.1", "gone too", {"other": "x2"})],
            [Held("x1", "net-x1", "a.1"), Held("x2", "net-x2", "b.1")],
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
    swarm.containers = lambda _labels, running: left if clock.now < 110 else []
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


def test_its_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    await_released(engine(container("a.1", "gone", {"net": "x1"})), lambda _: None)
    assert PATIENT_S < clock.now - 100 < PATIENT_S + 2


@pytest.mark.parametrize(("error", "words"), [(HELD, HELD), ("task: non-zero exit (1)", ""), (None, "")])
def test_the_engines_word_for_it(error: str | None, words: str) -> None:
    status = {"State": "rejected"} | ({"Err": error} if error else {})
    swarm = SimpleNamespace(tasks=lambda _: [{"Status": {"State": "running"}}, {"Status": status}])
    assert rejection(cast("Engine", swarm), "demo") == words
