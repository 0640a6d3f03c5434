"""A stack's name is taken over only from a run of this WarmCI, never from a stranger or from the live Keycloak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from support.fake_engine import FakeEngine, service
from warmci.base.errors import InfraError
from warmci.base.labels import INSTANCE_LABEL, LIVE_RUN, RUN_LABEL
from warmci.recipe.render import Placement
from warmci.swarm.deployment import Deployment, undeploy_stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from warmci.swarm.engine import Engine

RUN = "20261124T120000Z-0a1b2c"


@pytest.mark.parametrize(
    ("mine", "instance", "run", "refused"),
    [
        (RUN, "me", "20261124T110000Z-ffffff", False),
        (RUN, "other", RUN, True),
        (RUN, "", "", True),
        (RUN, "me", LIVE_RUN, True),
        (LIVE_RUN, "me", LIVE_RUN, False),
        (LIVE_RUN, "me", RUN, True),
    ],
)
def test_whose_stack_it_is(tmp_path: Path, mine: str, instance: str, run: str, *, refused: bool) -> None:
    engine = FakeEngine(tmp_path)
    placement = Placement("demo", "warm-demo.example", 20000, mine, "me", dnsrr=False)
    found = service("app", placement.stack)
    found["Spec"]["Labels"] |= {INSTANCE_LABEL: instance, RUN_LABEL: run}
    engine.deployed.append(found)
    deployment = Deployment(cast("Engine", engine), placement, tmp_path, {}, tmp_path)
    if refused:
        with pytest.raises(InfraError, match="not this WarmCI's"):
            deployment.claim()
    else:
        deployment.claim()


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


class _Restless(_Going):
    """Its service has crashed so often that swarm forgets old tasks; scaled to zero, it forgets all, one at a look."""

    def __init__(self, crashes: int, mode: str = "Replicated") -> None:
        super().__init__([])
        self.crashes, self.mode = crashes, mode
        self.did: list[str] = []

    def services(self, _labels: Sequence[str]) -> list[dict[str, Any]]:
        return [{"ID": "s", "Spec": {"Name": "x_app", "Mode": {self.mode: {}}}}]

    def tasks(self, _labels: Sequence[str]) -> list[dict[str, Any]]:
        if "scale x_app 0" in self.did:
            self.crashes = max(0, self.crashes - 1)
        return [{"ServiceID": "s", "Status": {"State": "failed"}}] * self.crashes

    def scale(self, service: str, replicas: int) -> None:
        self.did.append(f"scale {service} {replicas}")

    def remove_services(self, ids: Sequence[str]) -> None:
        self.did.append(f"remove {' '.join(ids)} with {self.crashes}")


@pytest.mark.parametrize(
    ("engine", "did"),
    [
        (_Restless(6), ["scale x_app 0", "remove s with 0"]),
        (_Restless(2), ["remove s with 2"]),
        (_Restless(6, "Global"), ["remove s with 6"]),
    ],
)
def test_a_service_whose_tasks_come_and_go_rests_before_it_is_removed(engine: _Restless, did: list[str]) -> None:
    undeploy_stack(cast("Engine", engine), "x", graceful=False)
    assert engine.did == did
