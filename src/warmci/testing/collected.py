"""An operator's tests by phase, as pytest itself collects them, without an app to run them on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

from warmci.base import fs, process
from warmci.testing import pytest_process, suite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NONE: dict[str, tuple[str, ...]] = dict.fromkeys(get_args(suite.Phase), ())


def collected_by_phase(
    tests_dir: Path, work_dir: Path, timeout_s: float, plugins: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], str]:
    """(phase to its tests in their order, why they cannot be collected); the second is empty where they can be."""
    if not suite.has_tests(tests_dir):
        return dict(_NONE), ""
    into = work_dir / "collected.json"
    running = process.start(
        pytest_process.command(
            tests_dir.resolve(), work_dir, (*suite.with_plugins(plugins), "--collect-only", "--quiet")
        ),
        cwd=tests_dir,
        env=pytest_process.environment({suite.COLLECTED_VARIABLE: str(into)}),
        log_file=_made(work_dir / "collected.log"),
    )
    try:
        code = process.wait(running, timeout_s=timeout_s)
    finally:
        process.stop(running)
    if code == suite.NO_TESTS:
        return dict(_NONE), ""
    if code != 0 or not into.is_file():
        said = [
            line for line in (work_dir / "collected.log").read_text("utf-8", "replace").splitlines() if line.strip()
        ]
        told = next((line for line in said if line.startswith("E ")), said[-1] if said else "it said nothing")
        return dict(_NONE), f"pytest cannot collect the tests (exit code {code}): {told.removeprefix('E ').strip()}"
    return {phase: tuple(tests) for phase, tests in json.loads(into.read_text(encoding="utf-8")).items()}, ""


def _made(log: Path) -> Path:
    fs.write_atomic(log, "")
    return log
