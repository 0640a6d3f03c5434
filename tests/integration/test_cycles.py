"""Thirty runs leave the engine as it was: objects by kind, and addresses, which would run out (docker/cli#7304)."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.bench import Bench
    from warmci.swarm.engine import Engine

pytestmark = [pytest.mark.integration, pytest.mark.long]
CYCLES = 31
"""Two tasks each on the shared network `proxy`, which has 61 addresses in a private engine: leaks would use them up."""


def counts(engine: Engine) -> dict[str, int]:
    found = {
        "services": len(engine.services()),
        "tasks": len(engine.tasks()),
        "containers": len(engine.containers()),
        "networks": len(engine.networks()),
        "volumes": len(engine.volumes()),
        "secrets": len(engine.secrets()),
        "configs": len(engine.configs()),
    }
    return {**found, **{f"endpoints of {name}": number for name, number in endpoints(engine).items()}}


def endpoints(engine: Engine) -> dict[str, int]:
    """Network to the number of endpoints that hold an address of it."""
    docker = ["docker", "--host", engine.docker_host, "network"]
    names = subprocess.run([*docker, "ls", "--quiet"], check=True, capture_output=True, text=True).stdout.split()
    shown = subprocess.run([*docker, "inspect", *names], check=True, capture_output=True, text=True).stdout
    return {network["Name"]: len(network["Containers"] or {}) for network in json.loads(shown)}


def test_thirty_cycles_leave_nothing(bench: Bench) -> None:
    assert bench.run("custom-html", "--ref", "1.0.0+1.35.0", "--reseed").code == 0
    before = counts(bench.engine)
    for number in range(CYCLES):
        answer = bench.run("custom-html", "--ref", "main", "--pr", str(number), "--quick")
        assert answer.code == 0, f"cycle {number}: {answer.stderr}"
        assert answer.result.leftovers == ()
    assert counts(bench.engine) == before
    assert bench.run("custom-html", "--ref", "main", "--pr", "99").code == 0, "a new network still finds addresses"
