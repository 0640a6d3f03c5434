"""What earlier runs say of a recipe, read from their results; old ones are pruned, so it is recent history only."""

from __future__ import annotations

import statistics
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from warmci.base.errors import UsageError
from warmci.base.models import Mode, Record, RunResult, Verdict
from warmci.base.names import record_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from warmci.report.past import Past

_RECENT = 10
RED = (Verdict.FAIL, Verdict.REFUSED)
TELLING = {Verdict.PASS, Verdict.PROMOTION_FAILED, *RED}


class History(Record):
    """Of one recipe: its cold runs of trusted code, newest last."""

    recipe: str
    last_green: datetime | None = None
    last_green_commit: str = ""
    last_promoted: datetime | None = None
    """When a green run last moved its canonical, or found that it is where it should be."""
    minutes: float | None = None
    """Median length of its last runs; None when there was none."""
    failure_rate: float = 0.0
    """Of its last ten runs that said something of the recipe."""
    last_drill: datetime | None = None


def read_result(runs_dir: Path, run: str) -> tuple[Path, RunResult]:
    """(directory, result) of one run. Raises UsageError where there is none that can be read."""
    home = runs_dir / record_id(run)
    try:
        return home, RunResult.model_validate_json((home / "result.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(
            f"run {run} has no readable result in {home}", hint="warmci status lists the last runs"
        ) from error


def history_of(recipe: str, results: Iterable[Past]) -> History:
    own = [result for result in results if result.recipe == recipe]
    cold = [result for result in own if result.ran is Mode.COLD and result.trusted]
    telling = [result for result in cold if result.verdict in TELLING]
    green = [result for result in telling if result.verdict not in RED]
    promoted = [result for result in green if _is_promoted(result)]
    told = (Verdict.PASS, *RED, Verdict.ROLLBACK_FAILED)
    drills = [result for result in own if result.requested is Mode.DRILL and result.verdict in told]
    recent = telling[-_RECENT:]
    return History(
        recipe=recipe,
        last_green=green[-1].started if green else None,
        last_green_commit=green[-1].head_commit if green else "",
        last_promoted=promoted[-1].started if promoted else None,
        minutes=round(statistics.median(result.seconds for result in recent) / 60, 2) if recent else None,
        failure_rate=round(1 - sum(result in green for result in recent) / len(recent), 2) if recent else 0.0,
        last_drill=drills[-1].started if drills else None,
    )


def expected_s(results: Sequence[Past], recipe: str, mode: str) -> float | None:
    """Median seconds of the last runs of this recipe and mode that said something, their waiting for locks left out."""
    own = [result for result in results if (result.recipe, result.requested) == (recipe, mode)]
    telling = [result.staged_s for result in own if result.verdict in TELLING]
    return statistics.median(telling[-_RECENT:]) if telling else None


def _is_promoted(result: Past) -> bool:
    return result.promotion == "ok" or result.promotion_reason == CANONICAL_IS_HEAD


CANONICAL_IS_HEAD = "the canonical is this commit"
"""Reason of a promotion that had nothing to do."""
