"""Text from outside, made harmless: the one place, for every sink (terminal, log, HTML, JUnit, forge, metrics, JSON).

What comes out has no control, format or bidirectional characters, no lone surrogates and nothing else that XML 1.0 or
a terminal would take for more than a letter, and no CI takes a line of it for a command. Cleaning twice is cleaning.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE_MAX = 2_000
BLOCK_MAX = 65_536
"""Characters; of a block the end is kept, it tells the most."""
LIST_MAX = 200
"""Entries of a list that is shown."""
_CUT = "…"
# ECMA-48: CSI; OSC, DCS, SOS, PM and APC with their end on the same line; other escapes of two or three bytes.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])")
_ODD = re.compile(r"[^ -~\n\t]")
# Runners take `::name::` after any white space for a command (GitHub, Gitea, Forgejo), `##[name]` and `##vso[name]`
# anywhere in a line (GitHub's first form, Azure), and TeamCity `##teamcity[`.
_COLONS = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)  # line by line: \s* would go over empty ones, each time anew
_HASHES = re.compile(r"##(?=[\w.-]*\[)")


def block(value: str, limit: int = BLOCK_MAX) -> str:
    """Lines of text: harmless, with its line ends and tabs; of one that is too long the end."""
    text = _without_commands(_visible(_ended(value, 4 * limit)))
    return _ended(text, limit)


def line(value: str, limit: int = LINE_MAX) -> str:
    """One line: harmless, its line ends and tabs made spaces; of one that is too long the beginning."""
    text = re.sub(r"[\n\t]+", " ", _visible(value[: 4 * limit]))
    text = _without_commands(text)
    return text if len(text) <= limit else text[: limit - 1] + _CUT


def entries(values: Sequence[str], limit: int = LIST_MAX) -> tuple[str, ...]:
    """The first of them; where there are too many the last entry says how many are left out."""
    if len(values) <= limit:
        return tuple(values)
    return (*values[: limit - 1], f"{_CUT} and {len(values) - limit + 1} more")


def _ended(text: str, limit: int) -> str:
    return text if len(text) <= limit else _CUT + text[1 - limit :]


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    text = _SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _ODD.sub(lambda found: _shown(found[0]), text)


def _shown(character: str) -> str:
    """A character as it is, or its escape where it would not be seen for what it is."""
    if character.isprintable():
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("ascii", "backslashreplace").decode() if character > "\x7f" else f"\\x{ord(character):02x}"


def _without_commands(text: str) -> str:
    return _HASHES.sub("# #", _COLONS.sub(r"\1: ", text))


def age(seconds: float) -> str:
    """Rough, as people say it."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
