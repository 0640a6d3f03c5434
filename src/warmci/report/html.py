"""report.html of one result: one file without scripts; links only to files beside it, everything in it escaped."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from warmci import __version__
from warmci.report import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmci.base.models import RunResult, StageResult, TestOutcome

_STYLE = Path(__file__).with_name("report.css")
_MARKS = {"ok": "✓", "passed": "✓", "failed": "✗", "skipped": "-"}


def page(result: RunResult) -> str:
    mode = words.mode_of(result)
    title = escape(words.headline(result))
    colour = "pass" if words.is_green(result) else "red"
    head = (
        f'<header><span class="badge {colour}">{escape(result.verdict.upper())}</span>'
        f'<span class="badge mode">{escape(mode)}</span>'
        f"<h1>{escape(f'{result.recipe} {result.head_version or result.ref}')}</h1></header>"
        f'<p class="meaning">{escape(words.meaning(result))}</p>'
    )
    parts = [
        head,
        *(f'<p class="note">{escape(note)}</p>' for note in words.notes(result)),
        _fault(result),
        _section(
            words.log_title(result).capitalize(),
            f"<pre>{escape(result.log_excerpt)}</pre>" if result.log_excerpt else "",
        ),
        _section("Stages", _stages(result.stages)),
        _section("Facts", _pairs(words.facts(result))),
        _section("Deviations from the recipe as written", _list(result.deviations)),
        _section("Images that ran", _pairs(result.images)),
        _section("Kept files", _links(result.kept)),
        _section("Dependencies", _pairs(result.dependencies)),
        f"<footer>WarmCI {escape(__version__)}, run {escape(result.run)}; the same as data: result.json</footer>",
    ]
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _fault(result: RunResult) -> str:
    if words.is_green(result) or not result.summary:
        return ""
    hint = f"<small>hint: {escape(result.hint)}</small>" if result.hint else ""
    hint += f"<small>cause: {escape(words.cause_text(result))}</small>" if result.cause else ""
    return f'<div class="fault">{escape(result.summary)}{hint}</div>'


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>" if body else ""


def _stages(stages: Iterable[StageResult]) -> str:
    listed = list(stages)
    longest = max((stage.seconds for stage in listed), default=0.0) or 1.0
    rows = "\n".join(_stage(stage, stage.seconds / longest) for stage in listed)
    return f'<div class="card">\n{rows}\n</div>' if rows else ""


def _stage(stage: StageResult, share: float) -> str:
    row = (
        f'<div class="row"><b title="{stage.outcome}">{_MARKS[stage.outcome]}</b>'
        f"<span>{escape(stage.name)}</span>"
        f'<span class="s">{stage.seconds:.2f} s</span><span class="d">{escape(stage.detail)}</span></div>'
        f'<div class="bar"><i style="width:{share:.1%}"></i></div>'
    )
    return f'<div class="stage {stage.outcome}">{row}{_tests(stage)}</div>'


def _tests(stage: StageResult) -> str:
    if not stage.tests:
        return ""
    failed = sum(test.outcome == "failed" for test in stage.tests)
    label = f"{len(stage.tests)} tests" + (f", {failed} failed" if failed else "")
    items = "".join(_test(test) for test in stage.tests)
    return f'<details{" open" if failed else ""}><summary>{label}</summary><ul class="tests">{items}</ul></details>'


def _test(test: TestOutcome) -> str:
    message = f"<pre>{escape(test.message)}</pre>" if test.message else ""
    if test.output:
        message += f"<details><summary>what it printed</summary><pre>{escape(test.output)}</pre></details>"
    reason = f": {escape(test.reason)}" if test.reason and test.reason != test.message else ""
    mark = f'<b title="{test.outcome}">{_MARKS[test.outcome]}</b>'
    return f'<li class="{test.outcome}">{mark} {escape(test.name)}{reason}{message}</li>'


def _pairs(pairs: dict[str, str]) -> str:
    rows = "".join(f'<dt>{escape(name)}</dt><dd class="mono">{escape(value)}</dd>' for name, value in pairs.items())
    return f'<div class="card"><dl>{rows}</dl></div>' if rows else ""


def _links(paths: Iterable[str]) -> str:
    """To files beside the page; they are the run's own, of names that we chose."""
    rows = "".join(f'<li><a href="./{quote(path)}">{escape(path)}</a></li>' for path in paths)
    return f'<div class="card"><ul>{rows}</ul></div>' if rows else ""


def _list(items: Iterable[str]) -> str:
    rows = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f'<div class="card"><ul>{rows}</ul></div>' if rows else ""
