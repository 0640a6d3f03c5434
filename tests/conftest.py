"""Guards of every test: no real settings, no real state, no engine by accident."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A loaded machine is no fault of the code: no property is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = ["support.bench", "crash_results", "support.machine"]


@pytest.fixture(autouse=True)
def own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a test names nothing of this machine; whoever needs an engine makes one."""
    for name in list(os.environ):
        if name.startswith(("WARMCI_", "DOCKER_")) or name in {"MAX_TESTS", "CREDENTIALS_DIRECTORY"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("WARMCI_STATE_DIR", str(tmp_path / "state-of-this-test"))
    monkeypatch.setenv("WARMCI_DOCKER_HOST", "unix:///nonexistent/choose-an-engine.sock")


def pytest_configure() -> None:
    """The same for what a session makes before its first test; WARMCI_NIXPKGS_LIB is the tests' own."""
    for name in set(os.environ) - {"WARMCI_NIXPKGS_LIB"}:
        if name.startswith(("WARMCI_", "DOCKER_")) or name in {"MAX_TESTS", "CREDENTIALS_DIRECTORY"}:
            del os.environ[name]


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command called in process installs handlers; a later test's forked children must not inherit them."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast ones first: a broken unit test is told before any engine is started."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is not None)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test is a failure: missing programs are installed, never done without."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped") and exitstatus == 0:
        reporter.write_line("error: skipped tests are failures in CI", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
