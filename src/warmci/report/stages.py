"""Stages of a run: timed, shown, recorded."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, RecipeFailedError, WarmciError
from warmci.base.models import StageResult, TestOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from warmci.report.console import Console


@dataclass
class Stage:
    """What a stage may say of itself while it runs."""

    name: str
    detail: str = ""
    tests: list[TestOutcome] = field(default_factory=list)
    skipped: bool = False

    def check(self, name: str, ok: bool, message: str = "", log: str = "") -> None:
        """Record a generic test; log: what the app said, shown above the message."""
        message = "\n".join(filter(None, (log, message)))
        self.tests.append(
            TestOutcome(name=name, outcome="passed" if ok else "failed", seconds=0.0, message="" if ok else message)
        )

    def require_green(self) -> None:
        """Raise RecipeFailedError when a test of this stage failed, InfraError when that was not the recipe's doing."""
        failed = [test for test in self.tests if test.outcome == "failed"]
        for test in failed:
            if test.infrastructure:
                raise InfraError(f"{test.name}: {test.infrastructure}", hint="warmci doctor; then retry the run")
        if failed:
            first = failed[0].message.strip().splitlines()
            more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
            raise RecipeFailedError(
                f"{failed[0].name}{more}: {first[-1] if first else 'failed'}",
                hint="the test's output is in the run's directory",
                log=failed[0].message,
            )


class Recorder:
    """The stages of one run, in the order of their ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self.stages: list[StageResult] = []
        self.on_stage: Callable[[str], None] = lambda _name: None
        """Called with the name of each stage that begins."""

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        stage, begin = Stage(name), time.monotonic()
        outcome = "failed"
        self.on_stage(name)
        try:
            with self._console.working(name):
                yield stage
            stage.require_green()
            outcome = "skipped" if stage.skipped else "ok"
        except WarmciError as error:
            stage.detail = error.message
            raise
        except BaseException as error:
            stage.detail = type(error).__name__
            raise
        finally:
            passed = sum(test.outcome == "passed" for test in stage.tests)
            if stage.tests and outcome == "ok":
                stage.detail = f"{stage.detail + ', ' if stage.detail else ''}{passed} tests passed"
            seconds = time.monotonic() - begin
            with self._lock:
                self._add(stage, outcome, seconds)
                self._console.end_stage(name, outcome, seconds, stage.detail)

    def _add(self, stage: Stage, outcome: str, seconds: float) -> None:
        redact = self._console.redact
        tests = tuple(
            test.model_copy(update={"message": redact(test.message), "infrastructure": redact(test.infrastructure)})
            for test in stage.tests
        )
        self.stages.append(
            StageResult.model_validate(
                {
                    "name": stage.name,
                    "outcome": outcome,
                    "seconds": round(seconds, 3),
                    "detail": redact(stage.detail),
                    "tests": tests,
                }
            )
        )
