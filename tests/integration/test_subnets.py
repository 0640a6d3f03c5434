"""Subnets that a recipe's network cannot have: another run has it, its node still has it, the file gives it twice."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from docker import types

from support.own_recipes import IMAGE, make_recipe, shell, web
from warmci.base import docker_cli
from warmci.base.models import Ledger, Verdict
from warmci.recipe.render import Placement
from warmci.swarm.deployment import Deployment
from warmci.swarm.undeploy import undeploy_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.bench import Bench
    from support.own_recipes import Document

pytestmark = pytest.mark.integration
SUBNET = "10.77.40.0/24"
DEADLINE_S = 30
COMPOSE = f"""
version: "3.8"
services:
  again: {{image: "{IMAGE}", command: [sleep, "1000"], networks: [net], deploy: {{restart_policy: {{delay: 3s}}}}}}
  once:
    image: "{IMAGE}"
    command: [sleep, "1000"]
    networks: [net]
    deploy: {{replicas: 2, restart_policy: {{condition: none}}}}
networks: {{net: {{ipam: {{config: [{{subnet: "{SUBNET}"}}]}}}}}}
"""


def fixed(version: str = "0.1.0+1.0", **changes: Any) -> Document:
    document = web(version, networks=["proxy", "inner"], **changes)
    document["networks"]["inner"] = {"ipam": {"config": [{"subnet": SUBNET}]}}
    return document


def test_a_subnet_that_another_run_has_is_no_fault_of_the_recipe(bench: Bench) -> None:
    name = make_recipe(bench, "fixed", fixed())
    first = bench.run(name, "--ref", "pr", "--pr", "1", "--keep", "--keep-for", "10m")
    assert first.code == 0, first.stderr
    try:
        second = bench.run(name, "--ref", "pr", "--pr", "2")
    finally:
        ended = bench.call("warmci", "run", "clean", first.result.run)
    assert ended.code == 0, ended.stderr
    assert (second.code, second.result.verdict) == (3, Verdict.INFRA), second.stderr
    assert SUBNET in second.result.summary
    assert first.result.run in second.result.summary
    assert bench.ledger() == Ledger()
    assert bench.run(name, "--ref", "pr", "--pr", "2").code == 0


@pytest.fixture
def old_container(bench: Bench) -> Iterator[str]:
    """As after somebody's `docker stack rm`: its network is gone from the swarm while it still ends."""
    pool = types.IPAMConfig(pool_configs=[types.IPAMPool(subnet=SUBNET)])
    api, label = bench.engine._api, ["com.docker.swarm.service.name=old"]
    network = api.create_network("old", driver="overlay", ipam=pool)["Id"]
    stubborn = types.ContainerSpec(IMAGE, command=shell("trap '' TERM; while :; do sleep 1; done"))
    stubborn["StopGracePeriod"] = 600_000_000_000
    service = api.create_service(types.TaskTemplate(stubborn, networks=[network]), name="old")["ID"]
    end = time.monotonic() + DEADLINE_S
    while not (found := bench.engine.containers(label, running=True)):
        assert time.monotonic() < end
        time.sleep(0.1)
    api.remove_service(service)
    bench.engine.remove_networks([network])
    yield str(found[0]["Id"])
    bench.engine.kill_containers([item["Id"] for item in bench.engine.containers(label)])


def test_a_subnet_that_the_node_still_has_is_waited_for(bench: Bench, old_container: str, tmp_path: Path) -> None:
    engine, compose = bench.engine, tmp_path / "compose.yml"
    compose.write_text(COMPOSE, encoding="utf-8")
    placement = Placement("demo", "held.example", 20000, "20261124T120000Z-0a1b2c", "me", dnsrr=False)
    engine.deploy_stack(docker_cli.find(None), placement.stack, compose, tmp_path)
    seen: list[str] = []
    going = threading.Timer(12, engine.kill_containers, [[old_container]])
    going.start()
    try:
        states = Deployment(engine, placement, tmp_path, {}, tmp_path).wait(120, seen.append)
    finally:
        going.join()
        undeploy_stack(engine, placement.stack, graceful=False)
    assert [state.running for state in states] == [1, 2]
    assert any("Pool overlaps" in line for line in seen), seen


def test_a_subnet_that_the_file_gives_twice_is_the_recipes_fault(bench: Bench) -> None:
    document = fixed()
    document["networks"]["other"] = {"ipam": {"config": [{"subnet": SUBNET}]}}
    answer = bench.run(make_recipe(bench, "twice", document), "--ref", "pr", "--pr", "1")
    assert (answer.code, answer.result.verdict) == (1, Verdict.FAIL), answer.stderr
    assert f"cannot have its subnet {SUBNET}" in answer.result.summary
    assert bench.ledger() == Ledger()
