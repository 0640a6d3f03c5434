"""Keeps known secret values out of everything that is printed or written."""

from __future__ import annotations

from urllib.parse import quote

_SHORTEST = 6
"""Shorter values would blank out ordinary words."""
MASK = "***"


class Redactor:
    def __init__(self) -> None:
        self._values: list[str] = []

    def add(self, *values: str) -> None:
        for value in values:
            for form in {value, quote(value, safe="")}:
                if len(form) >= _SHORTEST and form not in self._values:
                    self._values.append(form)
        self._values.sort(key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, MASK)
        return text
