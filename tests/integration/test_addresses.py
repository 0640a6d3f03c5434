"""Addresses of a shared network come back when a stack goes, whatever its tasks were doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from docker import types

from support.addresses import asking, free_addresses
from warmci.base import docker_cli
from warmci.base.errors import InfraError
from warmci.base.labels import NAMESPACE_LABEL
from warmci.operate import doctor, metrics
from warmci.recipe.render import Placement
from warmci.swarm.addresses import WAY_OUT, shared_usage
from warmci.swarm.deployment import Deployment
from warmci.swarm.undeploy import undeploy_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.bench import Bench
    from warmci.swarm.engine import Engine

pytestmark = pytest.mark.integration
STACK = "addresses"
LABEL = [f"{NAMESPACE_LABEL}={STACK}"]
CYCLES = 3
DEADLINE_S = 60
COMPOSE = """
version: "3.8"
services:
  app:
    image: warmci-demo/busybox:1.35
    command: [sh, -c, {command}]
    networks: [internal, shared]
    deploy: {{endpoint_mode: dnsrr, restart_policy: {{delay: 5s}}}}
  db:
    image: warmci-demo/busybox:1.35
    command: [sleep, "1000"]
    networks: [internal]
    deploy: {{endpoint_mode: dnsrr}}
networks: {{internal: , shared: {{external: true, name: few}}}}
"""


@pytest.fixture
def few(bench: Bench) -> Iterator[Engine]:
    """An engine with a shared network of a dozen addresses."""
    engine = bench.engine
    pool = types.IPAMConfig(pool_configs=[types.IPAMPool(subnet="10.77.0.0/28")])
    network = engine._api.create_network("few", driver="overlay", attachable=True, ipam=pool)["Id"]
    yield engine
    undeploy_stack(engine, STACK, graceful=False)
    engine.remove_networks([network])


@pytest.mark.parametrize(
    ("command", "until"),
    [
        ("sleep 0.3; exit 1", {"ready"}),  # waits for its restart
        ("exec sleep 1000", {"running"}),
        ("exec sleep 1000", {"preparing", "starting", "running"}),
    ],
)
def test_no_address_is_lost(few: Engine, tmp_path: Path, command: str, until: set[str]) -> None:
    compose = tmp_path / "compose.yml"
    compose.write_text(COMPOSE.format(command=f'"{command}"'), encoding="utf-8")
    before = free_addresses(few, "few", 16)
    assert before >= 10
    for _ in range(CYCLES):
        few.deploy_stack(docker_cli.find(None), STACK, compose, tmp_path)
        end = time.monotonic() + DEADLINE_S
        while not until & _states_of_app(few):
            assert time.monotonic() < end, "the task does not come so far"
            time.sleep(0.02)
        undeploy_stack(few, STACK, graceful=False)
    assert free_addresses(few, "few", 16) == before


def _states_of_app(engine: Engine) -> set[str]:
    app = {item["ID"] for item in engine.services(LABEL) if item["Spec"]["Name"] == f"{STACK}_app"}
    return {str(task["Status"]["State"]) for task in engine.tasks(LABEL) if task["ServiceID"] in app}


def test_doctor_and_metrics_tell_what_is_taken(few: Engine, bench: Bench) -> None:
    """A dozen containers' worth of addresses, of which most are held by tasks that no node fits."""
    (usage,) = [usage for usage in shared_usage(few) if usage.network == "few"]
    assert (usage.taken, usage.size) == (3, 16)
    page = metrics.as_text(bench.settings)
    assert "warmci_engine_up 1" in page
    assert 'warmci_network_addresses{network="few"} 16' in page
    (check,) = [check for check in doctor.examine(bench.settings) if check.name == "addresses"]
    assert check.status == "ok"
    with asking(few, "few", 20):
        (check,) = [check for check in doctor.examine(bench.settings) if check.name == "addresses"]
        assert "few 16 of 16" in check.detail
        assert (check.status, check.hint) == ("warning", WAY_OUT)


def test_an_exhausted_network_is_not_the_recipes_fault(few: Engine, tmp_path: Path) -> None:
    compose = tmp_path / "compose.yml"
    compose.write_text(COMPOSE.format(command="exec sleep 1000"), encoding="utf-8")
    placement = Placement("demo", f"{STACK}.example", 20000, "20261124T120000Z-0a1b2c", "me", dnsrr=True)
    with asking(few, "few", 20):
        few.deploy_stack(docker_cli.find(None), placement.stack, compose, tmp_path)
        deployment = Deployment(few, placement, tmp_path, {}, tmp_path)
        began = time.monotonic()
        with pytest.raises(InfraError, match="no address") as caught:
            deployment.wait(300, lambda _: None)
        assert time.monotonic() - began < 150, "told at the deadline only"
        assert caught.value.hint == WAY_OUT
        undeploy_stack(few, placement.stack, graceful=False)
