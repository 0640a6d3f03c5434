"""Stages of a run: timed, shown, recorded."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, RecipeFailedError, WarmciError
from warmci.base.models import StageResult, TestOutcome
from warmci.base.stopping import StoppedError
from warmci.base.text import line
from warmci.report import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from warmci.report.console import Console


_SAID = ("reason", "message", "output", "infrastructure")
"""What of a test's outcome may hold secrets."""


@dataclass
class Stage:
    """What a stage may say of itself while it runs."""

    name: str
    detail: str = ""
    tests: list[TestOutcome] = field(default_factory=list)
    skipped: bool = False
    hint: str = "all that was seen is in the run's directory"
    """What a reader of a failed test does next."""
    _final: set[str] = field(default_factory=set)

    def check(self, name: str, ok: bool, message: str = "", log: str = "", *, final: bool = False) -> None:
        """Record a generic test; log: what the app said, shown above the message; final: as of RecipeFailedError."""
        if final:
            self._final.add(name)
        if ok:
            self.tests.append(TestOutcome(name=name, outcome="passed", seconds=0.0))
            return
        reason = (message.strip().splitlines() or ["failed"])[-1]
        message = "\n".join(filter(None, (log, message)))
        self.tests.append(TestOutcome(name=name, outcome="failed", seconds=0.0, reason=reason, message=message))

    def require_green(self) -> None:
        """Raise RecipeFailedError when a test of this stage failed, InfraError when that was not the recipe's doing."""
        failed = [test for test in self.tests if test.outcome == "failed"]
        for test in failed:
            if test.infrastructure:
                raise InfraError(f"{test.name}: {test.infrastructure}", hint="warmci doctor; then retry the run")
        if failed:
            first = failed[0]
            more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
            error = RecipeFailedError(
                f"{first.name}{more}: {first.reason or 'failed'}",
                hint=self.hint,
                log="\n".join(filter(None, (first.message, first.output))),
            )
            error.final = any(test.name in self._final for test in failed)
            raise error


class Recorder:
    """The stages of one run, in the order of their ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self.stages: list[StageResult] = []
        self._began = time.monotonic()
        self.kept_s: Callable[[], float] = lambda: 0.0
        """Seconds that an app was kept for people, and that are no part of the run."""
        self.on_stage: Callable[[str], None] = lambda _name: None
        """Called with the name of each stage that begins."""

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        stage, begin = Stage(name), time.monotonic()
        outcome, kept_s = "failed", self.kept_s()
        with self._lock:
            self.on_stage(name)
        try:
            with self._console.working(name):
                yield stage
            stage.require_green()
            outcome = "skipped" if stage.skipped else "ok"
        except StoppedError as stopped:
            outcome, stage.detail = "skipped", stopped.message
            raise
        except WarmciError as error:
            stage.detail = error.message
            raise
        except BaseException as error:
            stage.detail = type(error).__name__
            raise
        finally:
            if stage.tests and outcome == "ok":
                stage.detail = f"{stage.detail + ', ' if stage.detail else ''}{_came_of(stage.tests)}"
            seconds = time.monotonic() - begin
            with self._lock:
                self._add(stage, outcome, begin - self._began - kept_s, seconds)
                self._console.end_stage(name, outcome, seconds, stage.detail)
                self._say_failed(stage)

    def _say_failed(self, stage: Stage) -> None:
        """Each of several; that of one alone is the stage's own line."""
        failed = [test for test in stage.tests if test.outcome == "failed"]
        for test in failed if len(failed) > 1 else ():
            self._console.say(f"    failed: {test.name}: {line(test.infrastructure or test.reason)}", style="red")

    def _add(self, stage: Stage, outcome: str, at: float, seconds: float) -> None:
        redact = self._console.redact
        tests = tuple(
            test.model_copy(update={name: redact(getattr(test, name)) for name in _SAID}) for test in stage.tests
        )
        self.stages.append(
            StageResult.model_validate(
                {
                    "name": stage.name,
                    "outcome": outcome,
                    "seconds": round(seconds, 3),
                    "at": round(at, 3),
                    "detail": redact(stage.detail),
                    "tests": tests,
                }
            )
        )


def _came_of(tests: Sequence[TestOutcome]) -> str:
    passed, skipped = (sum(test.outcome == outcome for test in tests) for outcome in ("passed", "skipped"))
    return f"{words.counted(passed, 'test')} passed{f', {skipped} skipped' if skipped else ''}"
