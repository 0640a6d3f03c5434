"""Tasks that are rejected because their node still has the network before: started anew, and told when in vain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base.errors import InfraError
from warmci.swarm import held_subnets
from warmci.swarm.held_subnets import PATIENT_S, HeldSubnets

if TYPE_CHECKING:
    from warmci.swarm.engine import Engine

HELD = "invalid pool request: Pool overlaps with other one on this address space"


def task(state: str, error: str = "", created: int = 1, service: str = "app") -> dict[str, Any]:
    return {
        "ServiceID": service,
        "CreatedAt": f"2026-01-01T00:00:{created:02}Z",
        "Status": {"State": state, "Err": error},
    }


class Swarm:
    """One service `app`; scaled to zero, its tasks are forgotten."""

    def __init__(self, *tasks: dict[str, Any], mode: str = "Replicated") -> None:
        self.left, self.scaled = list(tasks), list[int]()
        self.mode = {mode: {"Replicas": 2} if mode == "Replicated" else {}}

    def tasks(self, _: object) -> list[dict[str, Any]]:
        return self.left

    def services(self, _: object) -> list[dict[str, Any]]:
        return [{"ID": "app", "Spec": {"Name": "demo_app", "Mode": self.mode}}]

    def scale(self, service: str, replicas: int) -> None:
        assert service == "demo_app"
        self.scaled.append(replicas)
        self.left = []


def held(swarm: Swarm) -> HeldSubnets:
    return HeldSubnets(cast("Engine", swarm), "demo")


@pytest.mark.parametrize(
    ("tasks", "is_held", "scaled"),
    [
        ([], False, []),
        ([task("running")], False, []),
        ([task("failed", "task: non-zero exit (1)")], False, []),
        ([task("rejected", HELD)], True, [0, 2]),
        ([task("rejected", HELD), task("failed", "task: non-zero exit (1)", 2)], False, []),
        ([task("failed", "task: non-zero exit (1)"), task("rejected", HELD, 2)], True, [0, 2]),
        ([task("rejected", HELD), task("ready", "", 2)], True, []),
        ([task("rejected", HELD), task("running", "", 2)], False, []),
        ([task("running", "", 1, "db"), task("rejected", HELD)], True, [0, 2]),
    ],
)
def test_whom_it_concerns(tasks: list[dict[str, Any]], scaled: list[int], *, is_held: bool) -> None:
    assert (held(Swarm(*tasks)).error() is not None) is is_held
    swarm = Swarm(*tasks)
    swarm.left = [item for item in tasks if item["ServiceID"] == "app"]
    assert held(swarm).try_again() is None
    assert swarm.scaled == scaled


def test_what_is_not_replicated_is_left_to_its_policy() -> None:
    swarm = Swarm(task("rejected", HELD), mode="Global")
    assert held(swarm).try_again() is None
    assert swarm.scaled == []


def test_in_vain_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(held_subnets, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: None))
    swarm = Swarm(task("rejected", HELD))
    waiting = held(swarm)
    assert waiting.try_again() is None
    now[0] += PATIENT_S + 1
    swarm.left = [task("rejected", HELD, 2)]
    error = waiting.try_again()
    assert isinstance(error, InfraError)
    assert error.message == f"demo: {HELD}"
    assert "systemctl restart docker" in (error.hint or "")
    swarm.left = [task("running", "", 3)]
    assert waiting.try_again() is None
    swarm.left = [task("rejected", HELD, 4)]
    assert waiting.try_again() is None, "each time has its own patience"
