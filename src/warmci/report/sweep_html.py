"""One page of HTML that says how a sweep went."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from warmci.base.models import Verdict
from warmci.report.words import promotion_text

if TYPE_CHECKING:
    from warmci.report.sweep_record import Sweep, SweepItem

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35rem .7rem;border-bottom:1px solid #ddd;"
    "vertical-align:top}.pass{color:#176f2c}.red{color:#a4161a;font-weight:600}.dim{color:#666}"
)


def as_html(sweep: Sweep) -> str:
    colour = "red" if sweep.exit_code else "pass"
    rows = "".join(_row(item) for item in sweep.items)
    drill = _row(sweep.drill) if sweep.drill else '<tr><td colspan="6" class="dim">no canonical to drill</td></tr>'
    facts = {
        "started": f"{sweep.started:%F %T} UTC",
        "finished": f"{sweep.finished:%F %T} UTC" if sweep.finished else "not yet",
        "at once": str(sweep.max_tests),
        "resumed": f"{sweep.resumed} times" if sweep.resumed else "never stopped",
        "Keycloak": sweep.keycloak or "not needed",
    }
    said = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    head = "<tr><th>recipe</th><th>verdict</th><th>seconds</th><th>promotion</th><th>summary</th><th>order</th></tr>"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>WarmCI sweep {escape(sweep.id)}</title>'
        f"<style>{_STYLE}</style><h1>Sweep {escape(sweep.id)}</h1>"
        f'<p class="{colour}">{escape(sweep.verdict)}</p><table>{said}</table>'
        f"<h2>Recipes (cold)</h2><table>{head}{rows}</table>"
        f"<h2>Rollback drill</h2><table>{head}{drill}</table></html>\n"
    )


def _row(item: SweepItem) -> str:
    colour = "pass" if item.verdict is Verdict.PASS else "red" if item.verdict else "dim"
    cells = (
        f"<td>{escape(item.recipe)}</td>",
        f'<td class="{colour}">{escape(str(item.verdict or item.state))}</td>',
        f"<td>{item.seconds:.0f}</td>",
        f"<td>{escape(promotion_text(item.promotion))}</td>",
        f"<td>{escape(item.summary)}</td>",
        f'<td class="dim">{escape(item.reason)}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"
