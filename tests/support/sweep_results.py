"""Results as a sweep leaves them behind, by what differs from a green night."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from warmci.base.models import EXIT_CODES, Mode, RunResult, Verdict
from warmci.base.names import new_id

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def result(verdict: Verdict = Verdict.PASS, **more: Any) -> RunResult:
    facts = {
        "run": new_id(),
        "recipe": "demo",
        "ref": "main",
        "pr": "",
        "requested": Mode.COLD,
        "ran": Mode.COLD,
        "trusted": True,
        "head_commit": "a" * 40,
        "started": NOW - DAY,
        "seconds": 60.0,
        "verdict": verdict,
        "exit_code": EXIT_CODES[verdict],
    }
    return RunResult.model_validate({**facts, **more})
