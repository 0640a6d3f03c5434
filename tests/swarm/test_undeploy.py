"""The end of a stack: what is removed when, with an engine that goes step by step."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base.errors import InfraError
from warmci.swarm.undeploy import undeploy_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from warmci.swarm.engine import Engine


class _Going:
    """An engine whose stack goes step by step: one step each time that its networks are asked to go."""

    def __init__(self, states: list[str]) -> None:
        self.states = states
        """Of its one task, at each step; its network goes after the last."""
        self.asked: list[str] = []

    def services(self, _labels: Sequence[str]) -> list[dict[str, Any]]:
        return []

    configs = secrets = services

    def remove_services(self, _ids: Sequence[str]) -> None:
        pass

    kill_containers = remove_configs = remove_secrets = remove_services

    def containers(self, _labels: Sequence[str]) -> list[dict[str, Any]]:
        return []

    def networks(self, _labels: Sequence[str]) -> list[dict[str, Any]]:
        return [{"Id": "n", "Name": "net"}] if self.states else []

    def tasks(self, _labels: Sequence[str]) -> list[dict[str, Any]]:
        return [{"ServiceID": "s", "Status": {"State": state}} for state in self.states[:1] if state]

    def remove_networks(self, ids: Sequence[str]) -> None:
        self.asked += [self.states.pop(0) for _ in ids]


@pytest.mark.parametrize(
    ("states", "when"),
    [
        (["running", "running", "shutdown", "shutdown", "shutdown"], ["running", "running", "shutdown"]),
        (["", "shutdown"], ["", "shutdown"]),  # swarm may not have written down its tasks yet
        (["preparing", "preparing"], ["preparing", "preparing"]),  # a container may come of it until the networks go
        ([], []),
    ],
)
def test_data_is_let_go_once_no_container_can_come_any_more(states: list[str], when: list[str]) -> None:
    engine = _Going(list(states))
    asked: list[list[str]] = []
    undeploy_stack(
        cast("Engine", engine), "x", graceful=False, without_containers=lambda: asked.append([*engine.asked])
    )
    assert asked == [when]
    assert engine.asked == states


def test_what_goes_wrong_with_the_data_keeps_nothing_else() -> None:
    engine = _Going(["shutdown", "shutdown"])

    def busy() -> None:
        raise InfraError("the volume is in use")

    with pytest.raises(InfraError, match="in use"):
        undeploy_stack(cast("Engine", engine), "x", graceful=False, without_containers=busy)
    assert engine.asked == ["shutdown", "shutdown"]


RESTS = ["scale x_app 0", "remove s with 0"]


def _task(ran_s: float | None, *, state: str = "running", desired: str = "running", of: str = "s") -> dict[str, Any]:
    """One that came into its state so many seconds ago."""
    then = datetime.fromtimestamp(time.time() - (ran_s or 0), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f789Z")
    status = {"State": state} if ran_s is None else {"State": state, "Timestamp": then}
    return {"ServiceID": of, "DesiredState": desired, "Status": status}


class _Restless(_Going):
    """Its service has crashed so often that swarm forgets old tasks; scaled to zero, it forgets all, one at a look."""

    def __init__(
        self,
        crashes: int,
        mode: str = "Replicated",
        *,
        alive: Sequence[Callable[[], dict[str, Any]]] = (),
        update: str = "",
        refuses: bool = False,
    ) -> None:
        super().__init__([])
        self.crashes, self.mode, self.alive, self.update, self.refuses = crashes, mode, alive, update, refuses
        self.gone = False
        self.did: list[str] = []

    def services(self, _labels: Sequence[str]) -> list[dict[str, Any]]:
        update = {"State": self.update}
        return [{"ID": "s", "Spec": {"Name": "x_app", "Mode": {self.mode: {}}}, "UpdateStatus": update}]

    def tasks(self, _labels: Sequence[str]) -> list[dict[str, Any]]:
        if "scale x_app 0" in self.did:
            self.crashes = max(0, self.crashes - 1)
        tasks = [{"ServiceID": "s", "DesiredState": "shutdown", "Status": {"State": "failed"}}] * self.crashes
        return [] if self.gone else [*tasks, *(made() for made in self.alive)]

    def scale(self, service: str, replicas: int) -> None:
        self.did.append(f"scale {service} {replicas}")
        if self.refuses:
            raise InfraError("update out of sequence")

    def remove_services(self, ids: Sequence[str]) -> None:
        self.did.append(f"remove {' '.join(ids)} with {self.crashes}")
        self.gone = True


@pytest.mark.parametrize(
    ("engine", "did"),
    [
        (_Restless(6), RESTS),
        (_Restless(2), ["remove s with 2"]),
        (_Restless(6, "Global"), ["remove s with 6"]),
        (_Restless(0, alive=[partial(_task, 0.1)] * 9), ["remove s with 0"]),
        (_Restless(6, alive=[partial(_task, 20), partial(_task, 20)]), ["remove s with 6"]),
        (_Restless(6, alive=[partial(_task, 20), partial(_task, 0.1, of="another")]), ["remove s with 6"]),
        (_Restless(6, alive=[partial(_task, 20), partial(_task, 1.5)]), RESTS),
        (_Restless(6, alive=[partial(_task, 20), partial(_task, 20, state="starting")]), RESTS),
        (_Restless(6, alive=[partial(_task, 20), partial(_task, 20, state="ready", desired="ready")]), RESTS),
        (_Restless(6, alive=[partial(_task, 20), partial(_task, 20, desired="shutdown")]), RESTS),
        (_Restless(6, alive=[partial(_task, 20), partial(_task, None)]), RESTS),
        (_Restless(6, alive=[partial(_task, 20)], update="rollback_started"), RESTS),
        (_Restless(6, alive=[partial(_task, 20)], update="completed"), ["remove s with 6"]),
        (_Restless(6, refuses=True), RESTS),
    ],
)
def test_a_service_whose_tasks_come_and_go_rests_before_it_is_removed(engine: _Restless, did: list[str]) -> None:
    undeploy_stack(cast("Engine", engine), "x", graceful=False)
    assert engine.did == did
