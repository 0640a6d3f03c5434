"""Compose variable substitution, in process: a recipe's variables never enter the environment of a tool.

Semantics of Docker's CLI (docker/cli, cli/compose/template): $VAR, ${VAR}, :- - :? ? :+ + and $$.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from warmci.base.errors import RecipeFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")


def expand(text: str, scope: Mapping[str, str], *, where: str) -> str:
    """Substitute every variable of text; unset ones become empty, as with Docker's CLI.

    Raises RecipeFailedError, naming `where`, for a malformed expression or an unset required variable.
    """
    out: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        out.append(text[position:dollar])
        after = text[dollar + 1 : dollar + 2]
        if after == "$":
            out.append("$")
            position = dollar + 2
        elif after == "{":
            end = _closing_brace(text, dollar + 2, where)
            out.append(_braced(text[dollar + 2 : end], scope, where))
            position = end + 1
        elif match := _NAME.match(text, dollar + 1):
            out.append(scope.get(match[0], ""))
            position = match.end()
        else:
            raise RecipeFailedError(f"{where}: invalid interpolation in {_short(text)}", hint="a literal dollar is $$")
    return "".join([*out, text[position:]])


def _short(text: str) -> str:
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")


def _closing_brace(text: str, start: int, where: str) -> int:
    depth = 1
    for index in range(start, len(text)):
        if text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
        elif text[index] == "{" and text[index - 1] == "$":
            depth += 1
    raise RecipeFailedError(f"{where}: ${{ without }} in {_short(text)}", hint="a literal dollar is $$")


def _braced(body: str, scope: Mapping[str, str], where: str) -> str:
    match = _NAME.match(body)
    if not match:
        raise RecipeFailedError(f"{where}: invalid variable name in ${{{_short(body)}}}")
    name, rest = match[0], body[match.end() :]
    if not rest:
        return scope.get(name, "")
    operator = next((known for known in _OPERATORS if rest.startswith(known)), None)
    if operator is None:
        raise RecipeFailedError(f"{where}: invalid expression ${{{_short(body)}}}")
    argument = rest[len(operator) :]
    present = name in scope and (not operator.startswith(":") or scope[name] != "")
    if operator.endswith("-"):
        return scope[name] if present else expand(argument, scope, where=where)
    if operator.endswith("+"):
        return expand(argument, scope, where=where) if present else ""
    if not present:
        raise RecipeFailedError(f"{where}: required variable {name} is not set: {_short(argument)}")
    return scope[name]
