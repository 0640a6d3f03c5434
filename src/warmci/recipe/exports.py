"""Reads the exports of a recipe's abra.sh as a shell would, without executing anything of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPORT = re.compile(r"export[ \t]+([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_REFERENCE = re.compile(
    r"\$(?:(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?-)(?P<default>[A-Za-z0-9_./:,@%+=-]*))?\})"
)
_LITERAL_DOLLAR = re.compile(r"\$(?=[\s/:,.=%\"]|$)")
_ENDS = " \t;&|"
_ONLY_A_SHELL = "`$()<>"
_MOST = 1 << 16


class _NeedsShellError(ValueError):
    """The value is more than quotes and variables."""


def parse_exports(text: str, scope: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """`export NAME=value` lines at the left margin, and the names whose value only a shell could tell."""
    found: dict[str, str] = {}
    unread: list[str] = []
    for line in text.split("\n"):
        match = _EXPORT.match(line.removesuffix("\r"))
        if not match:
            continue
        try:
            found[match[1]] = _value(match[2], {**scope, **found})
        except _NeedsShellError:
            unread.append(match[1])
    return found, unread


def _value(raw: str, scope: Mapping[str, str]) -> str:
    """The first word of raw, quotes taken off and variables replaced."""
    out: list[str] = []
    position, quote = 0, ""
    while position < len(raw):
        char = raw[position]
        if quote == "'" and char != "'":
            out.append(char)
        elif char in {'"', "'"} and quote in {"", char}:
            quote = "" if quote else char
        elif char == "\\":
            escaped = raw[position + 1 : position + 2]
            out.append(escaped if not quote or escaped in '\\"$`' else char + escaped)
            position += 1
        elif reference := _REFERENCE.match(raw, position):
            out.append(_referred(reference, scope))
            position = reference.end() - 1
        elif _LITERAL_DOLLAR.match(raw, position):
            out.append(char)
        elif not quote and char in _ENDS:
            break
        elif char in "`$" or (not quote and char in _ONLY_A_SHELL) or _is_home(raw, position, quote):
            raise _NeedsShellError
        else:
            out.append(char)
        position += 1
    value = "".join(out)
    if quote or len(value) > _MOST or (raw.endswith("\\") and not raw.endswith("\\\\")):
        raise _NeedsShellError  # goes on in the next line, or is far too long for a version
    return value


def _is_home(raw: str, position: int, quote: str) -> bool:
    return raw[position] == "~" and not quote and raw[position - 1 : position] in {"", ":"}


def _referred(reference: re.Match[str], scope: Mapping[str, str]) -> str:
    value = scope.get(reference["plain"] or reference["braced"])
    if value is None or (value == "" and reference["operator"] == ":-"):
        return reference["default"] or ""
    return value
