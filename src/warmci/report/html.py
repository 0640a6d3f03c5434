"""report.html of one result: one file without scripts, everything escaped; links to files beside it and the forge."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from warmci.base.text import block
from warmci.report import html_parts as parts
from warmci.report import words

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from warmci.base.models import RunResult, StageResult, TestOutcome

_LOG_LINES = 60
_LOG_CHARACTERS = 20_000
_LOGS_MAX = 20
_FILE_MAX = 2**20
"""Bytes of a file that the page holds."""


def page(result: RunResult, run_dir: Path | None = None) -> str:
    """run_dir: where the run's files are, which the page then shows and links to; without one it stands alone."""
    mode = words.mode_of(result)
    head = (
        f"<header>{parts.badge(result.verdict.upper(), 'pass' if words.is_green(result) else 'red')}"
        f"{parts.badge(mode, 'mode')}<h1>{escape(f'{result.recipe} {result.head_version or result.ref}')}</h1></header>"
        f'<p class="meaning">{escape(words.meaning(result))}</p>{_links(result)}'
    )
    body = [
        head,
        *(f'<p class="note">{escape(note)}</p>' for note in words.notes(result)),
        _fault(result),
        parts.section(words.log_title(result).capitalize(), _folded("shown", result.log_excerpt, opened=True)),
        parts.section("Timeline", _timeline(result)),
        parts.section("Screenshots", _screenshots(result, run_dir) if run_dir else ""),
        parts.section("Data", _data(result)),
        parts.section("Run it again with", f"<pre>{escape(result.repeat)}</pre>" if result.repeat else ""),
        parts.section("Facts", parts.pairs(words.facts(result))),
        parts.section("Deviations from the recipe as written", parts.items(result.deviations)),
        parts.section("Images that ran", _images(result)),
        parts.section("Logs of the services", _logs(result, run_dir)),
        parts.section("Kept files", _kept(result.kept) if run_dir else ""),
        parts.section("Dependencies", parts.pairs(result.dependencies)),
    ]
    beside = "; the same as data: result.json" if run_dir else ""
    return parts.document(words.headline(result), body, f", run {result.run}{beside}")


def _links(result: RunResult) -> str:
    made = [parts.link(label, url) for label, url in result.links.items() if label != "report"]
    return f'<p class="links">{" · ".join(made)}</p>' if made else ""


def _fault(result: RunResult) -> str:
    if words.is_green(result) or not result.summary:
        return ""
    hint = f"<small>hint: {escape(result.hint)}</small>" if result.hint else ""
    hint += f"<small>cause: {escape(words.cause_text(result))}</small>" if result.cause else ""
    return f'<div class="fault">{escape(result.summary)}{hint}</div>'


# --- the timeline


def _timeline(result: RunResult) -> str:
    """The stages in the order of their beginnings, one card for each app of the run: both halves of a cold one."""
    stages = sorted(result.stages, key=lambda stage: stage.at if stage.at is not None else 0.0)
    whole = max((stage.seconds + (stage.at or 0.0) for stage in stages), default=0.0)
    cards = []
    for title, group in groupby(stages, key=_half):
        listed = list(group)
        rows = "\n".join(_stage(stage, title, whole) for stage in listed)
        seconds = sum(stage.seconds for stage in listed)
        heading = f"<h3>{escape(title)} <small>{seconds:.1f} s</small></h3>" if title else ""
        cards.append(f'{heading}<div class="card">\n{rows}\n</div>')
    return "\n".join(cards)


def _half(stage: StageResult) -> str:
    before, colon, _ = stage.name.partition(": ")
    return before if colon else ""


def _stage(stage: StageResult, title: str, whole: float) -> str:
    name = stage.name.removeprefix(f"{title}: ")
    begin = "" if stage.at is None else f'<span class="s at">+{stage.at:.1f} s</span>'
    row = (
        f'<div class="row"><b title="{stage.outcome}">{parts.MARKS[stage.outcome]}</b><span>{escape(name)}</span>'
        f'{begin}<span class="s">{stage.seconds:.2f} s</span><span class="d">{escape(stage.detail)}</span></div>'
    )
    drawn = parts.span(stage.at, stage.seconds, whole, stage.outcome) if stage.at is not None else ""
    return f'<div class="stage {stage.outcome}">{row}{drawn}{_tests(stage)}</div>'


def _tests(stage: StageResult) -> str:
    if not stage.tests:
        return ""
    failed = sum(test.outcome == "failed" for test in stage.tests)
    label = words.counted(len(stage.tests), "test") + (f", {failed} failed" if failed else "")
    rows = "".join(_test(test) for test in stage.tests)
    return f'<details{" open" if failed else ""}><summary>{label}</summary><ul class="tests">{rows}</ul></details>'


def _test(test: TestOutcome) -> str:
    message = f"<pre>{escape(test.message)}</pre>" if test.message else ""
    message += _folded("what it printed", test.output)
    reason = f": {escape(test.reason)}" if test.reason and test.reason != test.message else ""
    mark = f'<b title="{test.outcome}">{parts.MARKS[test.outcome]}</b>'
    return f'<li class="{test.outcome}">{mark} {escape(test.name)}{reason}{message}</li>'


# --- what there is to look at


def _folded(title: str, text: str, *, opened: bool = False) -> str:
    if not text:
        return ""
    return f"<details{' open' if opened else ''}><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def _data(result: RunResult) -> str:
    """Which versions the data under the app has lived through, and what became of it."""
    used, promotion = result.canonical, result.promotion
    made = promotion.canonical if promotion is not None else None
    drawn = ""
    if made is not None:
        drawn = parts.lineage(made.lineage) + "<p>This is the canonical's data now.</p>"
    elif used is not None and result.ran == "quick":
        drawn = parts.lineage(used.lineage or (used.version,), result.head_version)
        drawn += "<p>The last step was tried on a throw-away view; the canonical is as it was.</p>"
    elif result.base_version:
        drawn = parts.lineage((result.base_version,), result.head_version) + "<p>Thrown away at the end.</p>"
    return f'<div class="card">{drawn}</div>' if drawn else ""


def _images(result: RunResult) -> str:
    rows = [
        (escape(service), _code(result.image_names.get(service, "")), _code(digest))
        for service, digest in result.images.items()
    ]
    return parts.table(("service", "image", "id"), rows)


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>" if text else ""


def _screenshots(result: RunResult, run_dir: Path) -> str:
    drawn = []
    for name, said in sorted(result.screenshots.items()):
        jpeg = _read(run_dir / name)
        drawn.append(parts.screenshot(jpeg, said) if jpeg else f"<p>{escape(said)}</p>")
    return "\n".join(drawn)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.stat().st_size <= _FILE_MAX else b""
    except OSError:
        return b""


def _logs(result: RunResult, run_dir: Path | None) -> str:
    """The end of each, folded; they were bounded and masked when they were kept."""
    logs = [name for name in result.kept if name.startswith("seen/") and name.endswith(".log")][:_LOGS_MAX]
    drawn = []
    for name in logs if run_dir else ():
        text = _read(run_dir / name).decode(errors="replace") if run_dir else ""
        lines = text.splitlines()[-_LOG_LINES:]
        drawn.append(_folded(name.removeprefix("seen/"), block("\n".join(lines), _LOG_CHARACTERS)))
    return "\n".join(drawn)


def _kept(paths: Iterable[str]) -> str:
    """Files beside the page; they are the run's own, of names that we chose."""
    rows = "".join(f"<li>{parts.link(path, f'./{path}')}</li>" for path in paths)
    return f'<div class="card"><ul>{rows}</ul></div>' if rows else ""
