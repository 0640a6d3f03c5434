"""The overview's first page: every recipe, its last runs, its canonical, how long its runs take."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from warmci.base.models import Mode, Verdict
from warmci.base.text import age
from warmci.report import html_parts as parts
from warmci.report import words
from warmci.report.history import TELLING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from warmci.report.alerts import Alert
    from warmci.report.past import Past
    from warmci.report.sweep_record import Sweep

_TREND = 20


@dataclass(frozen=True)
class Row:
    """One recipe. Of its canonical there is nothing but what is shown: no secret can get in."""

    recipe: str
    enrolled: bool
    results: tuple[Past, ...]
    """Oldest first."""
    version: str
    state: str
    """Of the canonical; empty where there is none."""
    created: datetime | None
    lineage: tuple[str, ...]

    def of(self, mode: Mode) -> list[Past]:
        """Those that said something of the recipe. Of cold ones only those of what is merged; a badge is theirs."""
        told = [result for result in self.results if result.ran is mode and result.verdict in TELLING]
        return [result for result in told if result.trusted] if mode is Mode.COLD else told

    def last(self, mode: Mode) -> Past | None:
        return found[-1] if (found := self.of(mode)) else None


def page(
    rows: Sequence[Row], shown: Mapping[str, str], sweep: Sweep | None, standing: Sequence[Alert], now: datetime
) -> str:
    """shown: run to the page of it, beside this one."""
    lasts = [last for row in rows if (last := row.last(Mode.COLD))]
    red = sum(not words.is_green(result) and result.verdict is not Verdict.PROMOTION_FAILED for result in lasts)
    head = (
        f"<header><h1>WarmCI</h1>{parts.badge(f'{len(lasts) - red} green', 'pass')}"
        f"{parts.badge(f'{red} red', 'red') if red else ''}</header>"
        f'<p class="meaning">{escape(words.counted(len(rows), "recipe"))}, as of {now:%F %T} UTC</p>'
    )
    empty = "" if rows else '<p class="note">No recipe is enrolled yet: the setting recipes names them.</p>'
    body = [
        head,
        *(f'<p class="note">alert since {alert.since:%F %T} UTC: {escape(alert.message)}</p>' for alert in standing),
        empty,
        parts.section("Recipes", parts.table(_COLUMNS, [_cells(row, shown, now) for row in rows])),
        parts.section("Last sweep", _sweep(sweep)),
    ]
    return parts.document("WarmCI: all recipes", body, "")


_COLUMNS = ("recipe", "cold", "quick", "canonical", "data's past", "seconds, cold", "quick and cold")


def _cells(row: Row, shown: Mapping[str, str], now: datetime) -> tuple[str, ...]:
    name = f"<b>{escape(row.recipe)}</b>" + ("" if row.enrolled else " <small>not enrolled</small>")
    seconds = [result.seconds for result in row.of(Mode.COLD)][-_TREND:]
    return (
        name,
        _last(row.last(Mode.COLD), shown, now),
        _last(row.last(Mode.QUICK), shown, now),
        _canonical(row, now),
        parts.lineage(row.lineage),
        (f"{seconds[-1]:.0f} " if seconds else "") + parts.trend(seconds, "seconds of cold runs, oldest first"),
        escape(agreement(row.results)),
    )


def _last(result: Past | None, shown: Mapping[str, str], now: datetime) -> str:
    if result is None:
        return "<small>none yet</small>"
    colour = "pass" if words.is_green(result) else "red"
    said = f"{result.head_version or result.ref}, {age((now - result.started).total_seconds())} ago"
    report = parts.link("report", shown.get(result.run, ""))
    more = f" · {parts.link(f'PR {result.pr}', result.pull)}" if result.pull and result.pr else ""
    return f"{parts.badge(result.verdict, colour)}<br><small>{escape(said)}</small><br><small>{report}{more}</small>"


def _canonical(row: Row, now: datetime) -> str:
    if not row.state:
        return "<small>none</small>"
    state = "" if row.state == "good" else parts.badge(row.state, "red")
    old = f", {age((now - row.created).total_seconds())} old" if row.created else ""
    return f"{state} {escape(row.version)}<small>{escape(old)}</small>"


def agreement(results: Sequence[Past]) -> str:
    """Of heads that were tested in both ways: how often both said the same."""
    said: dict[str, dict[Mode, bool]] = {}
    for result in results:
        if result.ran in (Mode.COLD, Mode.QUICK) and result.verdict in TELLING and result.head_commit:
            green = result.verdict in (Verdict.PASS, Verdict.PROMOTION_FAILED)
            said.setdefault(result.head_commit, {})[result.ran] = green
    both = [modes for modes in said.values() if len(modes) == 2]
    same = sum(len(set(modes.values())) == 1 for modes in both)
    return f"{same} of {len(both)} agree" if both else ""


def _sweep(sweep: Sweep | None) -> str:
    if sweep is None:
        return ""
    colour = "mode" if sweep.exit_code is None else "red" if sweep.exit_code else "pass"
    state = sweep.verdict if sweep.finished else "under way, or stopped: warmci sweep goes on with it"
    said = "green" if sweep.exit_code == 0 else "not green" if sweep.exit_code else "not over"
    whole = parts.link(f"sweep {sweep.id}", "./sweep.html")
    return f"<p>{parts.badge(said, colour)} {escape(state)} · {whole}</p>"
