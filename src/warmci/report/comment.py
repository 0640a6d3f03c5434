"""What a forge shows of one result: a commit status and a comment. Whatever a recipe said stands in code blocks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from warmci.base.models import Mode, Verdict
from warmci.base.text import block
from warmci.report import words
from warmci.report.links import LABELS

if TYPE_CHECKING:
    from warmci.base.models import RunResult, TestOutcome
    from warmci.report.forge import State

_LOG_MAX = 6000
_DEVIATIONS_MAX = 20
_TESTS_MAX = 10
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#!$&\'*+,;=%-]+")
"""What cannot end a Markdown link."""
_STATES: dict[Verdict, State] = {
    Verdict.PASS: "success",
    Verdict.PROMOTION_FAILED: "success",
    Verdict.FAIL: "failure",
    Verdict.REFUSED: "failure",
}
"""Every other verdict is an error: it says nothing of the recipe, neither good nor bad."""


def context(mode: Mode) -> str:
    return f"warmci/{mode}"


def state_of(result: RunResult) -> State:
    return _STATES.get(result.verdict, "error")


def description(result: RunResult) -> str:
    mode = words.mode_of(result)
    less = "; lower confidence, does not gate a merge" if mode is Mode.QUICK else ""
    return f"{mode}: {words.meaning(result)}{less}"


def marker(mode: Mode, instance: str) -> str:
    """Invisible first line by which the next run finds this comment."""
    return f"<!-- warmci {mode} {instance} -->"


def comment(result: RunResult, instance: str) -> str:
    mode = words.mode_of(result)
    quick = f"\n\n*{words.QUICK_NOTE}*" if mode is Mode.QUICK else ""
    linked = " · ".join(
        f"[{label}]({result.links[label]})" for label in LABELS if _PLAIN_URL.fullmatch(result.links.get(label, ""))
    )
    parts = [
        f"{marker(mode, instance)}\n**WarmCI {mode}: {result.verdict.upper()}**: {words.meaning(result)}{quick}",
        *([linked] if linked else []),
        _block("\n".join(_lines(result))),
    ]
    if result.deviations:
        more = len(result.deviations) - _DEVIATIONS_MAX
        said = [*result.deviations[:_DEVIATIONS_MAX], *([f"and {more} more, in the run's report"] if more > 0 else [])]
        label = words.counted(len(result.deviations), "deviation") + " from the recipe as written"
        parts.append(_details(label, "\n".join(said)))
    if result.log_excerpt:
        parts.append(_details(words.log_title(result), block(result.log_excerpt, _LOG_MAX)))
    if result.stages:
        stages = "\n".join(f"{s.outcome:<8}{s.seconds:8.2f} s  {s.name}" for s in result.stages)
        parts.append(_details("stages", stages))
    if result.repeat:
        parts.append(f"The same again:\n\n{_block(result.repeat)}")
    return "\n\n".join(parts) + "\n"


def _lines(result: RunResult) -> list[str]:
    found = [note for note in words.notes(result) if note != words.QUICK_NOTE]
    if result.summary:
        found.append(f"error: {result.summary}")
    found += [f"failed: {test.name}: {test.infrastructure or test.reason}" for test in _failed(result)[:_TESTS_MAX]]
    shown = ("cause", "head", "base", "canonical", "promotion", "seconds", "exit code", "run")
    facts = words.facts(result)
    return found + [f"{label}: {facts[label]}" for label in shown if label in facts]


def _failed(result: RunResult) -> list[TestOutcome]:
    """Of several; one alone is the error itself."""
    found = [test for test in words.all_tests(result) if test.outcome == "failed"]
    return found if len(found) > 1 else []


def _details(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{_block(text)}\n\n</details>"


def _block(text: str) -> str:
    """A fence that nothing in the text can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
