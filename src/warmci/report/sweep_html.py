"""One page of HTML that says how a sweep went, in the style of the others."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from warmci.base.models import Verdict
from warmci.report import html_parts as parts
from warmci.report.words import promotion_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmci.report.sweep_record import Sweep, SweepItem

_RUN = re.compile(r"[0-9TZ]{16}-[0-9a-f]{6}")
_COLUMNS = ("recipe", "verdict", "seconds", "promotion", "summary", "order")


def as_html(sweep: Sweep, shown: Mapping[str, str] | None = None) -> str:
    """shown: run to the address of its report; by default they lie beside the sweeps, in .runs."""
    colour = "mode" if sweep.exit_code is None else "red" if sweep.exit_code else "pass"
    said = "green" if sweep.exit_code == 0 else "not green" if sweep.exit_code else "not over"
    facts = {
        "started": f"{sweep.started:%F %T} UTC",
        "finished": f"{sweep.finished:%F %T} UTC" if sweep.finished else "not yet",
        "at once": str(sweep.max_tests),
        "resumed": f"{sweep.resumed} times" if sweep.resumed else "never stopped",
        "Keycloak": sweep.keycloak or "not needed",
        "troubles": "; ".join(sweep.troubles),
        "not promoted for too long": ", ".join(sweep.stale),
    }
    drill = [_row(sweep.drill, shown)] if sweep.drill else []
    body = [
        f"<header>{parts.badge(said, colour)}<h1>Sweep {escape(sweep.id)}</h1></header>",
        f'<p class="meaning">{escape(sweep.verdict)}</p>',
        parts.section("Recipes, cold", parts.table(_COLUMNS, [_row(item, shown) for item in sweep.items])),
        parts.section("Rollback drill", parts.table(_COLUMNS, drill) or "<p>no canonical to drill</p>"),
        parts.section("Facts", parts.pairs({label: value for label, value in facts.items() if value})),
    ]
    return parts.document(f"WarmCI sweep {sweep.id}", body, f", sweep {sweep.id}")


def _row(item: SweepItem, shown: Mapping[str, str] | None) -> tuple[str, ...]:
    colour = "pass" if item.verdict is Verdict.PASS else "red" if item.verdict else "mode"
    address = f"../../.runs/{item.run}/report.html" if shown is None else shown.get(item.run, "")
    report = ""
    if _RUN.fullmatch(item.run) and address:
        report = " " + (f'<a href="{escape(address)}">report</a>' if shown is None else parts.link("report", address))
    return (
        f"<b>{escape(item.recipe)}</b>",
        parts.badge(item.verdict or item.state, colour) + report,
        f"{item.seconds:.0f}",
        escape(promotion_text(item.promotion)),
        escape(item.summary),
        f"<small>{escape(item.reason)}</small>",
    )
