"""Reads .env text to the values that abra's reader gives: a port of joho/godotenv 1.5.1 (parser.go), tested against it.

In process, so that a recipe's variables never reach another program, and that a line can be asked of a scope: an
upgrade and recipe.toml set variables where they stand. Text is UTF-8 with surrogate escapes, as bytes are kept.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BLANK = "\t\v\f\r \x85\xa0"
"""Go's unicode.IsSpace within a line, as godotenv has it."""
_SPACE = (
    _BLANK + "\n\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
# A name is looked at byte by byte, each as if it were a character of Latin-1.
_NAME_BYTES = frozenset(
    byte for byte in range(256) if unicodedata.category(chr(byte))[0] in "LN" or chr(byte) in "_." + _BLANK
)
_NOT_SPACE = re.compile(f"[^{_SPACE}]")
_NOT_BLANK = re.compile(f"[^{_BLANK}]")
_LINE_END = re.compile("[\r\n]")
_BEHIND = re.compile(f"[{_BLANK.replace(chr(13), '')}]*#([^\r\n]*)")
"""A comment on the same line."""
_EXPORT = re.compile(f"export[{_BLANK}]+")
_ESCAPE = re.compile(r"\\.")
_UNESCAPE = re.compile(r"\\([^$])")
_REFERENCE = re.compile(r"(\\)?\$\(?\{?([A-Z0-9_]+)?\}?")


class MalformedError(ValueError):
    """What godotenv refuses, and the line that it stands in."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Statement:
    """One assignment, before its references are replaced."""

    line: int
    name: str
    body: str
    quote: str
    """The quotation mark around it, or none."""
    comment: str
    """What stands behind it on its line, after the #."""

    def value(self, scope: Mapping[str, str]) -> str:
        """The body with its references replaced by what scope has; what it has not is empty."""
        return self.body if self.quote == "'" else _expanded(self.body, scope)

    def references(self) -> list[str]:
        """The variables that value() asks scope for."""
        if self.quote == "'":
            return []
        return [match[2] for match in _REFERENCE.finditer(self.body) if match[2] and not match[1]]


def statements(text: str) -> Iterator[Statement]:
    """Each assignment of text in its order. Raises MalformedError where godotenv refuses the rest."""
    text = text.replace("\r\n", "\n")
    line, counted, position = 1, 0, _next(_NOT_SPACE, text, 0)
    while position < len(text):
        if text[position] == "#":
            end = text.find("\n", position)
            position = _next(_NOT_SPACE, text, len(text) if end < 0 else end)
            continue
        line, counted = line + text.count("\n", counted, position), position
        name, position = _name(text, position, line)
        body, quote, comment, position = _body(text, position, line)
        yield Statement(line, name, body, quote, comment)
        position = _next(_NOT_SPACE, text, position)


def _next(wanted: re.Pattern[str], text: str, position: int) -> int:
    match = wanted.search(text, position)
    return match.start() if match else len(text)


def _name(text: str, position: int, line: int) -> tuple[str, int]:
    if prefix := _EXPORT.match(text, position):
        position = prefix.end()
        if position == len(text):
            raise MalformedError(line, "export of nothing")
    for index in range(position, len(text)):
        char = text[index]
        if char in "=:":
            return text[position:index].rstrip(_SPACE), _next(_NOT_BLANK, text, index + 1)
        if not _NAME_BYTES.issuperset(char.encode("utf-8", "surrogateescape")):
            raise MalformedError(line, f"unexpected character {char!a} in a variable name")
    return "", position  # a last line without = is a value without a name


def _body(text: str, position: int, line: int) -> tuple[str, str, str, int]:
    quote = text[position : position + 1]
    if quote not in {'"', "'"}:
        end = _next(_LINE_END, text, position)
        value, comment = _without_comment(text[position:end])
        return value, "", comment, end
    end = text.find(quote, position + 1)
    while end >= 0 and text[end - 1] == "\\":
        end = text.find(quote, end + 1)
    if end < 0:
        raise MalformedError(line, "unterminated quoted value")
    body = text[position:end].strip(quote)
    behind = _BEHIND.match(text, end + 1)
    return _unescaped(body) if quote == '"' else body, quote, behind[1] if behind else "", end + 1


def _without_comment(line: str) -> tuple[str, str]:
    """The last # behind a blank starts the comment."""
    for index in range(len(line) - 1, 0, -1):
        if line[index] == "#" and line[index - 1] in _BLANK:
            return line[:index].strip(_BLANK), line[index + 1 :]
    return line.strip(_BLANK), ""


def _unescaped(body: str) -> str:
    newlines = {r"\n": "\n", r"\r": "\r"}
    return _UNESCAPE.sub(r"\1", _ESCAPE.sub(lambda match: newlines.get(match[0], match[0]), body))


def _expanded(body: str, scope: Mapping[str, str]) -> str:
    def replaced(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        return scope.get(match[2], "") if match[2] else match[0]

    return _REFERENCE.sub(replaced, body)
