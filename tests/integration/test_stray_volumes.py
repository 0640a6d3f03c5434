"""A volume that the engine makes by itself, for a task of a run that is over already: it is the run's, and goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from support.own_recipes import make_recipe, web, with_volume
from warmci.base import docker_cli
from warmci.base.errors import InfraError
from warmci.base.labels import INSTANCE_LABEL, NAMESPACE_LABEL, RUN_LABEL
from warmci.base.models import Ledger
from warmci.base.names import canonical_domain, stack_name
from warmci.base.state import open_state
from warmci.recipe import compose_text, overlay
from warmci.swarm.undeploy import undeploy_stack

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.integration
WAIT_S = 60.0


def labels(bench: Bench, run: str) -> dict[str, str]:
    return {INSTANCE_LABEL: open_state(bench.settings.state_dir).instance, RUN_LABEL: run}


def test_it_carries_the_runs_labels(bench: Bench, tmp_path: Path) -> None:
    """What `docker stack deploy` makes of the labels of a volume that is not there."""
    ours = labels(bench, "20260101T000000Z-abcde0")
    service = {
        "image": "warmci-demo/busybox:1.35",
        "command": ["sleep", "600"],
        "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
        "deploy": {"endpoint_mode": "dnsrr"},
    }
    document = {"version": "3.8", "services": {"app": service}, "volumes": {"data": None, "own": {"labels": ["a=b"]}}}
    overlay.add_labels(document, {**ours, "org.warmci.commit": "0" * 40}, {})
    assert document["volumes"] == {"data": {"labels": ours}, "own": {"labels": {"a": "b", **ours}}}
    path, engine = tmp_path / "compose.yml", bench.engine
    path.write_text(compose_text.dump(document), encoding="utf-8")
    engine.deploy_stack(docker_cli.find(None), "stray", path, tmp_path)
    try:
        end = time.monotonic() + WAIT_S
        while not (found := engine.volumes([f"{RUN_LABEL}=20260101T000000Z-abcde0"])) and time.monotonic() < end:
            time.sleep(0.1)
        assert [item["Name"] for item in found] == ["stray_data"]
    finally:
        undeploy_stack(engine, "stray", graceful=False)
    recovered = bench.call("warmci", "recover")
    assert recovered.code == 0, recovered.stderr
    assert engine.volumes([f"{RUN_LABEL}=20260101T000000Z-abcde0"]) == []


def test_a_run_takes_it_away_and_goes_on(bench: Bench) -> None:
    """Left at the canonical's domain by a run that was killed."""
    app = with_volume(web(volumes=["data:/data"], init=True), "data")
    name = make_recipe(bench, "stray", app, [("0.1.0+1.0", app)])
    volume = f"{stack_name(canonical_domain(name, bench.settings.base_domain))}_data"
    bench.engine.make_volume(volume, {**labels(bench, "20260101T000000Z-abcde1"), NAMESPACE_LABEL: "x"})
    answer = bench.run(name)
    assert answer.code == 0, answer.stderr
    assert bench.store.load(name) is not None
    assert bench.ledger() == Ledger()


def test_somebodys_own_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    engine, run = bench.engine, labels(bench, "20260101T000000Z-abcde2")
    engine.make_volume("stray-ours", {**run, NAMESPACE_LABEL: "x"})
    engine.make_volume("stray-theirs", {NAMESPACE_LABEL: "x"})
    try:
        engine.create_volume("stray-ours", tmp_path, run)
        (found,) = [item for item in engine.volumes() if item["Name"] == "stray-ours"]
        assert found["Options"]["device"] == str(tmp_path)
        with pytest.raises(InfraError, match="stray-theirs exists already and is not ours"):
            engine.create_volume("stray-theirs", tmp_path, run)
    finally:
        for name in ("stray-ours", "stray-theirs"):
            engine.remove_volume(name)
