"""Hostile text, and what each place that shows text takes for more than text, written after those readers."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel

PIECES = (
    "[/bold] [red]x[/] [/",
    "[link=file:///etc/passwd]x[/link]",
    "\x1b]0;owned\x07",
    "\x1b]52;c;aGk=\x1b\\",
    "\x1b[2J\x1b[31mred\x1b[0m",
    "\x1b\x1b[m[2J",
    "\x1bP1;1|x\x1b\\",
    "\x9b31m\x9d0;x\x9c",
    "::set-env name=PATH::/x",
    "::stop-commands::x",
    "  ::error::x",
    "::",
    "##[error]x",
    "##\x1b[m[add-path]x",
    "###[group]x",
    "##vso[task.setvariable variable=x]y",
    "##teamcity[buildStatus status='SUCCESS']",
    "</pre></details><script>alert(1)</script>",
    "]]> &amp; &#0; <!-- -->",
    '" onclick="x',
    "```\n# title\n```text",
    "`" * 40,
    "~~~",
    "\x00\x0b\x0c\x7f\x85\u2028\u2029\ufeff\ufffe\uffff",
    "\u202e\u202a\u2066\u2069\u200e\u200f\u200b\xad\U000e0041",
    "\ud800",
    "\udfff",
    "a\rb\r\nc\nd\te",
    'x="1"} 1\n# HELP y',
    "{braces} %s %(x)s",
)
text = st.lists(st.sampled_from(PIECES) | st.text(max_size=8) | st.just("\n"), max_size=6).map("".join)


def commands(log: str) -> list[str]:
    """Lines that a CI's runner acts on.

    TryParseV2 trims and wants `::` first, TryParse finds `##[` anywhere; Azure's Command.cs finds `##vso[` anywhere
    (https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs).
    """
    lines = log.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    anywhere = ("##[", "##vso[", "##teamcity[")
    return [line for line in lines if line.strip().startswith("::") or any(word in line for word in anywhere)]


def unseen(shown: str) -> list[str]:
    """Characters that a terminal or a reader of bidirectional text acts on, or that XML 1.0 cannot hold."""
    return [
        character
        for character in shown
        if (unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in "\n\t")
        or (ord(character) & 0xFFFE) == 0xFFFE
    ]


def filled(model: type[BaseModel], hostile: str) -> dict[str, Any]:
    """Values for every field of the model: the text wherever a string may be."""
    return {name: _value(field.annotation, hostile) for name, field in model.model_fields.items()}


def _value(kind: Any, hostile: str) -> Any:
    """A value of that type. A literal's first word, an optional's type, an enumeration's first member."""
    simple: dict[Any, Any] = {str: hostile, int: 1, float: 1.0, bool: True, datetime: "2026-11-24T03:15:00Z"}
    if kind in simple:
        return simple[kind]
    first = next(iter(get_args(kind)), None)
    if get_origin(kind) is tuple:
        return (_value(first, hostile),) * 2
    if get_origin(kind) is dict:
        return {hostile: hostile}
    if first is not None:
        return first if isinstance(first, str | int) else _value(first, hostile)
    return filled(kind, hostile) if issubclass(kind, BaseModel) else next(iter(kind))
