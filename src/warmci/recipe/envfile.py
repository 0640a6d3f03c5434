"""Reads a recipe's .env.sample as abra reads the .env that is made of it, and says what in it looks like a mistake."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmci.base.errors import RecipeFailedError
from warmci.recipe.godotenv import MalformedError, statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from warmci.recipe.godotenv import Statement

# Each has one way only to match: a stranger's line of 20 KB would cost ten seconds, or for ever.
_HINT = re.compile(r"(?<!\w)(\w+)=(\S*[^\s,;])")
_ONE_HINT = r"(?:length|charset|generate)=\S+"
_LONE_HINTS = re.compile(rf"^[ \t]*#[ \t]*{_ONE_HINT}(?:[ \t]+{_ONE_HINT})*[ \t]*$", re.MULTILINE)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_OPERATOR = re.compile(r"(?<!\\)\$\{[A-Z0-9_]+(?::?[-+?])")
_LOWER = re.compile(r"(?<!\\)\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_MOST = 1 << 20
"""Characters of all values together: a dozen lines can double one value each, and Swarm takes four million bytes."""


@dataclass(frozen=True)
class EnvFile:
    """Variables after expansion in file order, and the hints that stood behind them as comments."""

    values: dict[str, str]
    hints: dict[str, dict[str, str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def parse_env(
    text: bytes, *, origin: str, given: Mapping[str, str] | None = None, overrides: Mapping[str, str] | None = None
) -> EnvFile:
    """Parse .env text; later lines see earlier ones (and `given`), as `COMPOSE_FILE="$COMPOSE_FILE:…"` needs.

    An override takes its variable's place where it stands, so that later lines see it; new ones come last.
    Raises RecipeFailedError naming file and line for what abra's reader refuses.
    """
    values: dict[str, str] = {}
    hints: dict[str, dict[str, str]] = {}
    warnings: list[str] = []
    replaced = dict(overrides or {})
    scope = dict(given or {})
    room = _MOST
    for statement in _statements(text, origin):
        where, name = f"{origin}:{statement.line}", _clean(statement.name)
        room -= len(statement.body) + sum(len(scope.get(used, "")) for used in statement.references())
        if room < 0:
            raise RecipeFailedError(f"{where}: the values are longer than {_MOST} characters together")
        warnings += [f"{where}: {text}" for text in _doubts(statement, values, scope)]
        value = replaced.get(name, _clean(statement.value(scope)))
        if "\0" in value:
            raise RecipeFailedError(f"{where}: the value of {name} holds a NUL byte", hint="no program can be given it")
        if name:
            values[name] = scope[name] = value
            hints[name] = dict(_HINT.findall(statement.comment))
    warnings += _lone_hints(text, origin)
    return EnvFile({**values, **replaced}, {name: found for name, found in hints.items() if found}, tuple(warnings))


def _statements(text: bytes, origin: str) -> Iterator[Statement]:
    if len(text) > _MOST:
        raise RecipeFailedError(f"{origin}: the file is longer than {_MOST} bytes")
    try:
        yield from statements(text.decode("utf-8", "surrogateescape"))
    except MalformedError as error:
        hint = "a line reads NAME=value; a quote is closed, and the file has no byte order mark"
        raise RecipeFailedError(f"{origin}:{error.line}: {error}", hint=hint) from error


def _clean(text: str) -> str:
    """Each byte that is no UTF-8 as U+FFFD, as it reaches the engine from Go."""
    return re.sub("[\udc80-\udcff]", "\ufffd", text)


def _doubts(statement: Statement, values: Mapping[str, str], scope: Mapping[str, str]) -> Iterator[str]:
    """What abra takes and hardly anybody means."""
    name = statement.name
    if not name:
        yield "a value without a name is left out"
    elif not _PLAIN_NAME.fullmatch(name):
        yield f"{_clean(name)!a} is an odd name for a variable"
    if "\udc80" <= max(statement.body, default="") <= "\udcff":
        yield f"the value of {name} is not UTF-8"
    if not statement.quote and re.search(r"\s#", statement.body):
        yield f"the value of {name} has a # in it: only the last comment of a line is one"
    if statement.quote != "'":
        yield from _doubtful_references(statement, values, scope)


def _doubtful_references(statement: Statement, values: Mapping[str, str], scope: Mapping[str, str]) -> Iterator[str]:
    name = statement.name
    if _OPERATOR.search(statement.body):
        yield f"the value of {name}: there are no default operators here, the text behind the variable's name stays"
    for used in dict.fromkeys(statement.references()):
        if used not in values:
            known = "is WarmCI's own, and empty with abra" if used in scope else "is set by no line before: empty"
            yield f"the value of {name}: {used} {known}"
    for match in _LOWER.finditer(statement.body):
        if match[1] in values and not re.fullmatch("[A-Z0-9_]+", match[1]):
            yield f"the value of {name}: ${match[1]} stays as it is, only names in capitals are replaced"


def _lone_hints(text: bytes, origin: str) -> list[str]:
    lines = text.decode("utf-8", "replace").replace("\r\n", "\n")
    said, line, counted = [], 1, 0
    for match in _LONE_HINTS.finditer(lines):
        line, counted = line + lines.count("\n", counted, match.start()), match.start()
        said.append(f"{origin}:{line}: a hint belongs behind its variable, on the same line")
    return said
