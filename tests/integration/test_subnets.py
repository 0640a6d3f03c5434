"""Subnets that a recipe's network cannot have: another run has it, its node still has it, the file gives it twice."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from docker import types

from support.own_recipes import IMAGE, make_recipe, shell, web
from warmci.base import docker_cli
from warmci.base.errors import InfraError
from warmci.base.models import Ledger, Verdict
from warmci.recipe.render import Placement
from warmci.swarm import held_subnets
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
    try:
        end = time.monotonic() + DEADLINE_S
        while not (found := bench.engine.containers(label, running=True)):
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        api.remove_service(service)
        bench.engine.remove_networks([network])
    yield str(found[0]["Id"])
    bench.engine.kill_containers([item["Id"] for item in bench.engine.containers(label)])


def test_a_subnet_that_the_node_still_has_is_waited_for(bench: Bench, old_container: str) -> None:
    name = make_recipe(bench, "held", fixed(deploy={"restart_policy": {"condition": "none"}}))
    process = bench.start("run_recipe_ci.py", name, "--ref", "pr", "--pr", "1")
    watchdog = threading.Timer(180, process.kill)
    watchdog.start()
    seen = ""
    for line in process.stderr or ():
        seen += line
        if "waiting: removed networks are still held: old (container old." in line:
            bench.engine.kill_containers([old_container])
    process.communicate()
    watchdog.cancel()
    assert process.returncode == 0, seen
    assert "waiting: removed networks" in seen
    assert bench.ledger() == Ledger()


def test_a_subnet_that_was_not_waited_for_is_nobodys_fault(bench: Bench, old_container: str, tmp_path: Path) -> None:
    """Somebody may remove a network in the moment after the wait."""
    assert [held.network for held in held_subnets.held(bench.engine)] == ["old"]
    engine, compose = bench.engine, tmp_path / "compose.yml"
    document = {**fixed(), "services": {"app": {"image": IMAGE, "command": ["sleep", "99"], "networks": ["inner"]}}}
    compose.write_text(json.dumps(document), encoding="utf-8")
    placement = Placement("demo", "held.example", 20000, "20261124T120000Z-0a1b2c", "me", dnsrr=False)
    engine.deploy_stack(docker_cli.find(None), placement.stack, compose, tmp_path)
    try:
        with pytest.raises(InfraError, match="Pool overlaps") as caught:
            Deployment(engine, placement, tmp_path, {}, tmp_path).wait(60, lambda _: None)
    finally:
        engine.kill_containers([old_container])
        undeploy_stack(engine, placement.stack, graceful=False)
    assert caught.value.hint == held_subnets.WAY_OUT
    end = time.monotonic() + DEADLINE_S
    while engine.network("old"):
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_subnet_that_the_file_gives_twice_is_the_recipes_fault(bench: Bench) -> None:
    document = fixed()
    document["services"]["app"]["networks"].append("other")
    document["networks"]["other"] = {"ipam": {"config": [{"subnet": SUBNET}]}}
    answer = bench.run(make_recipe(bench, "twice", document), "--ref", "pr", "--pr", "1")
    assert (answer.code, answer.result.verdict) == (1, Verdict.FAIL), answer.stderr
    assert f"cannot have its subnet {SUBNET}" in answer.result.summary
    assert bench.ledger() == Ledger()
