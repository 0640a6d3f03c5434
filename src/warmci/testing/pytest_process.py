"""pytest on a recipe's tests, in a process of its own: it collects them at once, and waits for its context."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base import fs, process, trust

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTEXT_VARIABLE = "WARMCI_TEST_CONTEXT"
_UNUSED_PLUGINS = ("cacheprovider", "doctest", "pastebin", "stepwise", "setuponly", "setupplan", "legacypath")


@dataclass(frozen=True)
class PytestProcess:
    """One that was started; `close` ends it and removes its directory."""

    scratch: Path
    running: process.Process

    @property
    def log(self) -> Path:
        """A file, so that a hanging test is seen in it."""
        return self.scratch / "log"

    @property
    def junit(self) -> Path:
        return self.scratch / "junit.xml"

    def tell(self, context: str) -> None:
        """The context as JSON; the tests run from now on."""
        fs.write_atomic(self.scratch / "context.json", context)

    def wait(self, timeout_s: float) -> int | None:
        """The exit code; None without an end in time."""
        try:
            return process.wait(self.running, timeout_s=timeout_s)
        finally:
            process.stop(self.running)

    def close(self) -> None:
        process.stop(self.running)
        fs.remove_tree(self.scratch)


def start(tests_dir: Path, work_dir: Path, options: Sequence[str], *, ca: str) -> PytestProcess:
    """ca: PEM of the CA that tests' own clients are to trust beside the system's; may be empty."""
    work_dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="pytest-", dir=work_dir))
    try:
        log = scratch / "log"
        log.touch(mode=0o600)
        running = process.start(
            command(tests_dir, scratch, options),
            cwd=tests_dir,
            env=environment({CONTEXT_VARIABLE: str(scratch / "context.json"), **_trusting(scratch, ca)}),
            log_file=log,
        )
    except BaseException:
        fs.remove_tree(scratch)
        raise
    return PytestProcess(scratch, running)


def command(tests_dir: Path, scratch: Path, options: Sequence[str]) -> list[str]:
    switched_off = [argument for plugin in _UNUSED_PLUGINS for argument in ("-p", f"no:{plugin}")]
    return [
        *(sys.executable, "-P", "-m", "pytest", "-p", "warmci.testing.pytest_plugin", *switched_off),
        *("-c", os.devnull, f"--rootdir={tests_dir}", f"--confcutdir={tests_dir}"),
        *("--verbose", "--color=no", "--tb=short", "--capture=sys"),
        *("-o", "junit_logging=all", "-o", "junit_log_passing_tests=false"),
        *(f"--basetemp={scratch / 'tmp'}", f"--junitxml={scratch / 'junit.xml'}"),
        *options,
        str(tests_dir),
    ]


def _trusting(scratch: Path, ca: str) -> dict[str, str]:
    """Also a client that is a test's own (requests, curl, a browser's driver) is to trust the app."""
    return dict.fromkeys(trust.VARIABLES, str(trust.provide(scratch / "trust", ca) / trust.PEM)) if ca else {}


def environment(facts: dict[str, str]) -> dict[str, str]:
    """Of a pytest of ours."""
    return {
        **facts,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        # Where packages reach us by a wrapper (Nix), the bare interpreter would not find them.
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
