"""Results as runs really have them, with fixed times, for the tests of everything that is made of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from warmci.base.models import (
    EXIT_CODES,
    CanonicalUse,
    Ledger,
    Mode,
    Promotion,
    RunResult,
    StageResult,
    TestOutcome,
    Verdict,
)
from warmci.report.history import read_result
from warmci.report.past import read_past

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "4f2a" * 10
BASE = "9c81" * 10
RUN = "20261124T031500Z-a1b2c3"


def result(verdict: Verdict = Verdict.PASS, **changes: Any) -> RunResult:
    values: dict[str, Any] = {
        "run": RUN,
        "recipe": "miniflux",
        "ref": "refs/pull/8/head",
        "pr": "8",
        "requested": Mode.COLD,
        "ran": Mode.COLD,
        "head_commit": HEAD,
        "head_version": "0.1.2+2.2.13",
        "started": datetime(2026, 11, 24, 3, 15, tzinfo=UTC),
        "seconds": 8.7,
        "verdict": verdict,
        "exit_code": EXIT_CODES[verdict],
    }
    return RunResult.model_validate(values | changes)


def quick_fail() -> RunResult:
    """The demo's regression: a migration that young data survives."""
    return result(
        Verdict.FAIL,
        requested=Mode.QUICK,
        ran=Mode.QUICK,
        base_commit=BASE,
        base_version="0.1.1+2.2.8",
        attach="overlay",
        images={"app": "sha256:" + "d" * 64},
        dependencies={"keycloak": "26.7.3 live-warm, realm run-a1b2c3"},
        deviations=("healthcheck interval 1 s instead of 10 s, same patience", "endpoint_mode dnsrr: no IPVS"),
        canonical=CanonicalUse(
            id="20261120T030000Z-0a0b0c", version="0.1.1+2.2.8", commit=BASE, age_s=345_600, manifest_sha256="e" * 64
        ),
        ledger_after=Ledger(),
        stages=(
            StageResult(name="checkout", outcome="ok", seconds=0.21, detail="refs/pull/8/head is 4f2a4f2a"),
            StageResult(name="attach the canonical", outcome="ok", seconds=0.02, detail="overlay"),
            StageResult(
                name="deploy the canonical",
                outcome="ok",
                seconds=3.4,
                detail="2 tests passed",
                tests=(
                    TestOutcome(name="serves /healthcheck", outcome="passed", seconds=0.0),
                    TestOutcome(name="commit label is the one asked for", outcome="passed", seconds=0.0),
                ),
            ),
            StageResult(name="realm", outcome="skipped", seconds=0.0, detail="needs none"),
            StageResult(
                name="quick: upgrade to the head",
                outcome="failed",
                seconds=2.9,
                detail="service app does not start: [Migration v119] pq: must be owner of extension hstore",
                tests=(
                    TestOutcome(
                        name="serves /healthcheck",
                        outcome="failed",
                        seconds=1.25,
                        message='<b>404</b> & "quotes"\nAssertionError: 404 page not found',
                    ),
                    TestOutcome(name="sign-in", outcome="skipped", seconds=0.0, message="needs a served page"),
                ),
            ),
        ),
        summary="service app does not start: [Migration v119] pq: must be owner of extension hstore",
        hint="the test's output is in the run's directory",
        log_excerpt='level=ERROR msg="[Migration v119] pq: must be owner of extension hstore"\n\x1b[31mexit 1\x1b[0m',
    )


def fallback_pass() -> RunResult:
    return result(requested=Mode.QUICK, ran=Mode.COLD, because="there is no canonical of miniflux")


def promotion_failed() -> RunResult:
    return result(
        Verdict.PROMOTION_FAILED,
        pr="",
        ref="main",
        trusted=True,
        promotion=Promotion(action="advance", outcome="failed", reason="no space"),
        summary="cold passed, but promotion failed: no space",
    )


def never_ran(verdict: Verdict = Verdict.BUSY, mode: Mode = Mode.QUICK) -> RunResult:
    summary = "recipe miniflux: busy after 0 s"
    return result(verdict, requested=mode, ran=None, head_commit="", head_version="", ref="", summary=summary)


def read_results(runs_dir: Path) -> list[RunResult]:
    """All that WarmCI counts, whole."""
    return [read_result(runs_dir, past.run)[1] for past in read_past(runs_dir)]
