"""What every output says of a result, in the same words: its mode, its verdict, and what that does not prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base.models import Mode, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.base.models import Promotion, RunResult, TestOutcome
    from warmci.report.past import Past

QUICK_NOTE = "quick: lower confidence, does not gate a merge; cold is authoritative"
_MEANINGS = {
    Verdict.PASS: "the recipe passed",
    Verdict.FAIL: "the recipe failed; the canonical is untouched",
    Verdict.REFUSED: "the recipe asks for what only the operator may allow; it was not deployed",
    Verdict.INFRA: "infrastructure failed, not the recipe; the run may be retried",
    Verdict.PROMOTION_FAILED: "the recipe passed, but the canonical could not be moved; the old one stands",
    Verdict.ROLLBACK_FAILED: "the roll-back failed; the canonical is marked dirty",
    Verdict.UNVERIFIED: "nothing was verified; this is no pass",
    Verdict.USAGE: "the request or a setting is wrong",
    Verdict.BUSY: "a lock or slot was not obtained; the run may be retried",
    Verdict.INTERRUPTED: "interrupted; everything is cleaned up",
    Verdict.BUG: "a bug in WarmCI, not in the recipe",
}


def mode_of(result: RunResult) -> Mode:
    """The mode that ran, or the one that was asked for where nothing did."""
    return result.ran or result.requested


def suite_name(result: RunResult) -> str:
    return f"warmci.{mode_of(result)}.{result.recipe}"


def is_green(result: RunResult | Past) -> bool:
    return result.verdict is Verdict.PASS


def meaning(result: RunResult) -> str:
    return _MEANINGS[result.verdict]


def headline(result: RunResult) -> str:
    version = result.head_version or result.ref
    return " ".join(part for part in (result.verdict.upper(), mode_of(result), result.recipe, version) if part)


def notes(result: RunResult) -> tuple[str, ...]:
    """What a reader must know to weigh the verdict; said by every output."""
    said = []
    if result.because:
        said.append(f"requested: {result.requested}, ran: {mode_of(result)}, because: {result.because}")
    if mode_of(result) is Mode.QUICK:
        said.append(QUICK_NOTE)
    if result.ran is None:
        said.append(f"no {result.requested} pipeline ran")
    return tuple(said)


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def log_title(result: RunResult) -> str:
    """What result.log_excerpt is."""
    told = (test.message for test in all_tests(result) if test.outcome == "failed" and test.message)
    return "the failed test's output" if result.log_excerpt.startswith(tuple(told)) else "the failing task's log"


def all_tests(result: RunResult) -> Iterator[TestOutcome]:
    return (test for stage in result.stages for test in stage.tests)


def cause_text(result: RunResult) -> str:
    return f"{result.cause.kind}: {result.cause.help}" if result.cause else ""


def promotion_text(promotion: Promotion | None) -> str:
    return " ".join(filter(None, (promotion.action, promotion.outcome, promotion.reason))) if promotion else ""


def facts(result: RunResult) -> dict[str, str]:
    """The result in short, label to value; empty ones are left out."""
    used, promotion = result.canonical, result.promotion
    found = {
        "run": result.run,
        "started": f"{result.started:%F %T} UTC",
        "seconds": f"{result.seconds:.1f}",
        "exit code": str(result.exit_code),
        "requested": str(result.requested),
        "ran": str(result.ran or "nothing"),
        "because": result.because,
        "pull request": result.pr,
        "ref": result.ref,
        "head": f"{result.head_version} {result.head_commit}".strip(),
        "base": f"{result.base_version} {result.base_commit}".strip(),
        "canonical": f"{used.version}, snapshot {used.id}, {used.age_s / 3600:.1f} hours old" if used else "",
        "promotion": promotion_text(promotion),
        "cause": cause_text(result),
        "data attached by": result.attach,
        "kept until": f"{result.kept_until:%F %T} UTC (warmci run clean {result.run})" if result.kept_until else "",
        "leftovers": ", ".join(result.leftovers),
    }
    return {label: value for label, value in found.items() if value}
