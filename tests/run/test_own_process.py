"""A run in a process of its own: its result is told, however often whoever started it is interrupted."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from support.bench import BIN
from warmci.base.models import RunResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[socket.socket]:
    """One that takes connections and never answers."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "engine"))
        listening.listen()
        listening.settimeout(60)
        yield listening


@pytest.mark.parametrize("options", [["--keep"], []], ids=["own process", "here"])
@pytest.mark.parametrize("pause_s", [0.0, 0.1, 0.3])
def test_a_second_interrupt_takes_nothing_from_the_result(
    engine: socket.socket, tmp_path: Path, options: list[str], pause_s: float
) -> None:
    """The second comes while the run ends, while its result is told, or after."""
    env = {"WARMCI_STATE_DIR": str(tmp_path / "state"), "WARMCI_DOCKER_HOST": f"unix://{tmp_path / 'engine'}"}
    with subprocess.Popen(
        [str(BIN / "run_recipe_ci.py"), "demo", *options, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    ) as running, engine.accept()[0]:  # fmt: skip
        for _ in range(2):
            running.send_signal(signal.SIGTERM)
            time.sleep(pause_s)
        stdout, stderr = running.communicate(timeout=60)
    result = RunResult.model_validate_json(stdout)
    assert (running.returncode, result.verdict) == (130, "interrupted"), stderr
    assert "Traceback" not in stderr
    assert (tmp_path / "state" / ".runs" / result.run / "result.json").is_file()
