"""nix/flake.nix: its outputs exist and evaluate, and what its checks look for is there; nothing is built."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from support.nixeval import HERE, LIBRARIES, nix

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module", params=LIBRARIES, ids=str)
def flake(request: pytest.FixtureRequest) -> Any:
    library = str(LIBRARIES[request.param])
    return json.loads(nix("--eval", "--strict", "--json", str(HERE / "flake.nix"), "--arg", "library", library))


def test_its_outputs(flake: Any) -> None:
    systems = ["aarch64-linux", "x86_64-linux"]
    assert flake["outputs"] == {
        "checks": systems,
        "formatter": systems,
        "nixosModules": ["default"],
        "overlays": ["default"],
        "packages": systems,
    }
    assert (flake["package"], flake["overlay"]) == ("warmci", "warmci")
    assert flake["noted"] == "echo c0ffee > src/warmci/commit"


def test_the_evaluation_check_finds_what_it_greps_for(flake: Any, tmp_path: Path) -> None:
    check = flake["module-eval"]
    assert set(check["checks"]) == {"warmci-settings-check", "warmci-calendar-check"}
    variables = {name: value for name, value in check.items() if name not in {"checks", "script"}}
    env = {"PATH": os.environ["PATH"], "out": str(tmp_path / "out"), "checks": "", **variables}
    argv = ["bash", "-e", "-c", check["script"]]
    assert subprocess.run(argv, env=env, check=False, timeout=30).returncode == 0
    without = {**env, "timer": env["timer"].replace("Persistent", "Persistant")}
    assert subprocess.run(argv, env=without, check=False, timeout=30).returncode == 1


def test_the_machine_of_the_vm_check_has_the_units_that_its_script_names(flake: Any) -> None:
    machine, script = flake["vm"]["machine"], dedent(flake["vm"]["testScript"])
    ast.parse(script)
    assert "warmci_alert_webhook:/etc/webhook" in machine["warmci-sweep.service"]
    assert "forge_token" not in machine["warmci-sweep.service"]
    for unit in ("docker-swarm-init.service", "warmci-keycloak.service", "warmci-sweep.service", "warmci-sweep.timer"):
        assert unit in script
        assert unit in machine
