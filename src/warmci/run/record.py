"""What every run leaves, whatever its verdict: result.json, junit.xml and report.html in a directory of its own."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from warmci.base import fs, names
from warmci.base.errors import (
    BusyError,
    InfraError,
    InterruptedRunError,
    PromotionError,
    RecipeFailedError,
    RefusedError,
    RollbackError,
    UnverifiedError,
    UsageError,
    WarmciError,
)
from warmci.base.models import EXIT_CODES, RunResult, Verdict
from warmci.base.run_locks import run_lock
from warmci.base.state import open_state
from warmci.report.html import page
from warmci.report.junit import junit

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.report.console import Console
    from warmci.run.context import Request

_VERDICTS: dict[type[WarmciError], Verdict] = {
    RefusedError: Verdict.REFUSED,
    RecipeFailedError: Verdict.FAIL,
    UsageError: Verdict.USAGE,
    PromotionError: Verdict.PROMOTION_FAILED,
    RollbackError: Verdict.ROLLBACK_FAILED,
    UnverifiedError: Verdict.UNVERIFIED,
    BusyError: Verdict.BUSY,
    InterruptedRunError: Verdict.INTERRUPTED,
    InfraError: Verdict.INFRA,
}


def verdict_of(error: WarmciError) -> Verdict:
    return next((_VERDICTS[kind] for kind in type(error).__mro__ if kind in _VERDICTS), Verdict.INFRA)


def home(state_dir: Path, run: str) -> Path | None:
    """The run's directory, made now if it ended before it had one; None where the state directory takes none."""
    path = state_dir / ".runs" / names.record_id(run)
    if not path.is_dir():
        with suppress(WarmciError, OSError):
            open_state(state_dir, floor_bytes=0)
            run_lock(path).release()
    return path if path.is_dir() else None


def write(run_dir: Path, result: RunResult, console: Console) -> None:
    """The result as data and as two reports; a full disk takes none of the verdict away."""
    try:
        fs.write_json(run_dir / "result.json", result.model_dump(mode="json"))
        fs.write_atomic(run_dir / "junit.xml", junit(result))
        fs.write_atomic(run_dir / "report.html", page(result, run_dir))
    except OSError as error:
        console.say(f"warning: {run_dir}: reports are incomplete: {error.strerror or error}", style="yellow")


def refused(state_dir: Path, console: Console, request: Request, error: WarmciError) -> RunResult:
    """The result of a run that could not begin, as its settings are wrong; written like any other."""
    verdict = verdict_of(error)
    result = RunResult(
        run=names.new_id(),
        recipe=request.recipe,
        ref=request.ref,
        pr=request.pr,
        requested=request.mode,
        started=datetime.now(UTC),
        verdict=verdict,
        exit_code=EXIT_CODES[verdict],
        summary=console.redact(error.message),
        hint=console.redact(error.hint or ""),
        repeat=request.repeat,
    )
    if (run_dir := home(state_dir, result.run)) is not None:
        write(run_dir, result, console)
    return result
