"""Which of a service's tasks a route leads to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from warmci.base.labels import NAMESPACE_LABEL
from warmci.recipe.ingress import Route
from warmci.swarm.deployment import Deployment
from warmci.swarm.direct import targets

STACK = "demo_example"
ROUTE = Route("app", 8080, "traefik", "https")


@dataclass
class Swarm:
    """One service of two versions, as the engine tells of it."""

    found: list[dict[str, Any]] = field(default_factory=list)

    def task(
        self, name: str, version: str, state: str = "running", desired: str = "running", *, service: str = "s"
    ) -> None:
        self.found.append(
            {
                "ServiceID": service,
                "CreatedAt": f"2026-01-01T00:00:{len(self.found):02}Z",
                "DesiredState": desired,
                "Spec": {"ContainerSpec": {"Image": version}},
                "Status": {"State": state, "ContainerStatus": {"ContainerID": name}},
            }
        )

    def services(self, labels: list[str]) -> list[dict[str, Any]]:
        assert labels == [f"{NAMESPACE_LABEL}={STACK}"]
        spec = {"ContainerSpec": {"Image": "new"}}
        return [{"ID": "s", "Spec": {"Name": f"{STACK}_app", "TaskTemplate": spec}}]

    def tasks(self, _: list[str]) -> list[dict[str, Any]]:
        return self.found

    def addresses(self) -> dict[str, str]:
        return {"a": "172.18.0.3", "b": "172.18.0.4", "c": "172.18.0.5"}

    def containers(self, _: list[str], *, running: bool) -> list[dict[str, Any]]:
        assert running
        names = [task["Status"]["ContainerStatus"]["ContainerID"] for task in self.found]
        label = {"com.docker.swarm.service.name": f"{STACK}_app"}
        return [{"Id": name, "ImageID": f"image of {name}", "Labels": label} for name in names]

    @property
    def addressed(self) -> list[str]:
        found = targets(cast("Any", self), STACK, ROUTE)
        assert all((target.port, target.scheme) == (8080, "https") for target in found)
        return [target.address for target in found]


@pytest.fixture
def swarm() -> Swarm:
    return Swarm()


def test_before_a_task_runs(swarm: Swarm) -> None:
    assert swarm.addressed == []
    swarm.task("a", "new", "starting")
    assert swarm.addressed == []


def test_all_replicas_the_newest_first(swarm: Swarm) -> None:
    swarm.task("a", "new")
    swarm.task("b", "new")
    swarm.task("c", "new", service="another")
    assert swarm.addressed == ["172.18.0.4", "172.18.0.3"]


def test_the_old_one_serves_until_a_new_one_is_healthy(swarm: Swarm) -> None:
    swarm.task("a", "old")
    swarm.task("b", "new", "starting")
    assert swarm.addressed == ["172.18.0.3"]
    swarm.task("c", "new")
    assert swarm.addressed == ["172.18.0.5"]


def test_one_that_drains_is_asked_nothing_and_has_no_say_on_the_image(swarm: Swarm) -> None:
    swarm.task("c", "new")
    swarm.task("a", "old", desired="shutdown")
    assert swarm.addressed == ["172.18.0.5"]

    class Placement:
        stack = STACK

    deployment = object.__new__(Deployment)
    deployment.engine, deployment.placement = cast("Any", swarm), cast("Any", Placement)
    assert deployment.running_images() == {"app": "image of c"}


def test_one_without_an_address_on_the_bridge(swarm: Swarm) -> None:
    swarm.task("elsewhere", "new")
    assert swarm.addressed == []
