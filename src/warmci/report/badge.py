"""A badge of one recipe and mode, as a README shows it: plain SVG, no font or script from elsewhere."""

from __future__ import annotations

from html import escape

_COLOURS = {"pass": "#1a7f4b", "promotion-failed": "#1a7f4b", "fail": "#c0362c", "refused": "#c0362c"}
_OTHER = "#5c6675"
_CHARACTER, _PADDING, _HEIGHT = 6.6, 12, 20


def svg(mode: str, verdict: str) -> str:
    left, right = f"WarmCI {mode}", verdict
    widths = [round(len(text) * _CHARACTER + _PADDING) for text in (left, right)]
    whole, colour = sum(widths), _COLOURS.get(verdict, _OTHER)
    texts = "".join(
        f'<text x="{middle:.0f}" y="14" text-anchor="middle" textLength="{len(text) * _CHARACTER:.0f}">'
        f"{escape(text)}</text>"
        for text, middle in ((left, widths[0] / 2), (right, widths[0] + widths[1] / 2))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{_HEIGHT}" role="img"'
        f' aria-label="{escape(f"{left}: {right}")}"><title>{escape(f"{left}: {right}")}</title>'
        f'<rect width="{whole}" height="{_HEIGHT}" rx="3" fill="#3a4350"/>'
        f'<path d="M{widths[0]} 0h{widths[1] - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H{widths[0]}z" fill="{colour}"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{texts}</g></svg>\n'
    )
