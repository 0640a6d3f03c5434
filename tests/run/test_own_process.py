"""A run in a process of its own: its result is told, however often whoever started it is interrupted."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.bench import BIN
from warmci.base.models import RunResult

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    is_told_as_interrupted(tmp_path / "state", running, stdout, stderr)


def is_told_as_interrupted(state: Path, running: subprocess.Popen[str], stdout: str, stderr: str) -> None:
    result = RunResult.model_validate_json(stdout)
    assert (running.returncode, result.verdict) == (130, "interrupted"), stderr
    assert "Traceback" not in stderr
    assert (state / ".runs" / result.run / "result.json").is_file()


def test_an_interrupt_before_the_other_process_listens_is_a_result_too(tmp_path: Path) -> None:
    with subprocess.Popen(
        [str(BIN / "run_recipe_ci.py"), "demo", "--keep", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"WARMCI_STATE_DIR": str(tmp_path / "state")},
    ) as running:  # fmt: skip
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        deadline = time.monotonic() + 60
        while not children.read_text(encoding="ascii"):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        running.send_signal(signal.SIGTERM)
        stdout, stderr = running.communicate(timeout=60)
    is_told_as_interrupted(tmp_path / "state", running, stdout, stderr)
