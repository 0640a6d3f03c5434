"""What the pages share: a frame with a strict policy, sections, small drawings. Nothing runs, nothing is loaded."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from warmci.base import version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_STYLE = Path(__file__).with_name("report.css")
MARKS = {"ok": "✓", "passed": "✓", "failed": "✗", "skipped": "-"}


def document(title: str, parts: Iterable[str], footer: str) -> str:
    """A page that stands alone: its one style is named by its hash; nothing else is let in but pictures within it."""
    style = f"\n{_STYLE.read_text(encoding='utf-8')}"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + f"\n<footer>WarmCI {escape(version.number())}{escape(footer)}</footer>\n</main>\n</body>\n</html>\n"
    )


def section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>" if body else ""


def badge(text: str, colour: str) -> str:
    return f'<span class="badge {colour}">{escape(text)}</span>'


def pairs(values: Mapping[str, str]) -> str:
    rows = "".join(f'<dt>{escape(name)}</dt><dd class="mono">{escape(value)}</dd>' for name, value in values.items())
    return f'<div class="card"><dl>{rows}</dl></div>' if rows else ""


def items(texts: Iterable[str]) -> str:
    rows = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<div class="card"><ul>{rows}</ul></div>' if rows else ""


def link(text: str, url: str) -> str:
    """To another page of ours (a path), or to the web; anything else is text alone: `javascript:` is no address."""
    if url.startswith("./"):
        return f'<a href="./{quote(url[2:])}">{escape(text)}</a>'
    with suppress(ValueError):  # what cannot be taken apart leads nowhere
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname:
            return f'<a href="{escape(url)}" rel="noreferrer">{escape(text)}</a>'
    return escape(text)


def lineage(versions: Sequence[str], last: str = "") -> str:
    """The versions that data has lived through, in their order; last: where a run led it."""
    steps = [f"<li>{escape(version)}</li>" for version in versions]
    steps += [f'<li class="now">{escape(last)}</li>'] if last else []
    return f'<ol class="lineage">{"".join(steps)}</ol>' if steps else ""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already. On a narrow screen each row becomes a card, its cells named."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(_cell(*pair) for pair in zip(columns, row, strict=True))}</tr>" for row in rows)
    return f'<div class="card wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(name: str, content: str) -> str:
    return f'<td data-name="{escape(name)}">{content}</td>'


def trend(seconds: Sequence[float], label: str) -> str:
    """A line of lengths, oldest first; its right end is the newest."""
    if len(seconds) < 2:
        return ""
    most, width, height = max(seconds) or 1.0, 120, 28
    step = width / (len(seconds) - 1)
    points = " ".join(
        f"{number * step:.1f},{height - 3 - value / most * (height - 6):.1f}" for number, value in enumerate(seconds)
    )
    said = f"{label}: {', '.join(f'{value:.0f}' for value in seconds)} s"
    return (
        f'<svg class="trend" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        f' aria-label="{escape(said)}"><title>{escape(said)}</title><polyline points="{points}"/></svg>'
    )


def span(begin: float, length: float, whole: float, outcome: str) -> str:
    """When in the whole something happened."""
    whole = whole or 1.0
    left = min(99.5, max(0.0, begin / whole * 100))
    width = max(0.5, min(100 - left, length / whole * 100))
    return (
        f'<svg class="span {outcome}" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="way" width="100" height="4"/><rect x="{left:.2f}" width="{width:.2f}" height="4"/></svg>'
    )


def screenshot(jpeg: bytes, text: str) -> str:
    data = base64.b64encode(jpeg).decode()
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="{escape(text)}">'
        f"<figcaption>{escape(text)}</figcaption></figure>"
    )
