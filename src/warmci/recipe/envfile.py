"""Reads a recipe's .env.sample and the exports of its abra.sh, without executing anything of it."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmci.base.errors import RecipeFailedError
from warmci.recipe.interpolation import expand

if TYPE_CHECKING:
    from collections.abc import Mapping

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s?(.*)")
_EXPORT = re.compile(r"export\s+([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<body>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\s*(?:#(?P<comment>.*))?""")
_COMMENT = re.compile(r"(?:^|\s)#")
_HINT = re.compile(r"(\w+)=(\S+)")
_CHARSETS = {
    "alnum": string.ascii_letters + string.digits,
    "default": string.ascii_letters + string.digits,
    "hex": "0123456789abcdef",
    "special": string.ascii_letters + string.digits + "!@#%^&*_-+=",
    "safespecial": string.ascii_letters + string.digits + "@%_-+=",
}
_DEFAULT_LENGTH = 32
_LENGTHS = range(1, 4097)


@dataclass(frozen=True)
class EnvFile:
    """Variables after expansion in file order, and the hints that stood behind them as comments."""

    values: dict[str, str]
    hints: dict[str, dict[str, str]] = field(default_factory=dict)


def parse_env(
    text: str, *, origin: str, given: Mapping[str, str] | None = None, overrides: Mapping[str, str] | None = None
) -> EnvFile:
    """Parse .env text; later lines see earlier ones (and `given`), as `COMPOSE_FILE="$COMPOSE_FILE:…"` needs.

    An override takes its variable's place where it stands, so that later lines see it; new ones come last.
    Raises RecipeFailedError naming file and line for what is no assignment.
    """
    values: dict[str, str] = {}
    hints: dict[str, dict[str, str]] = {}
    replaced = dict(overrides or {})
    scope = dict(given or {})
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if not match:
            raise RecipeFailedError(f"{origin}:{number}: not an assignment", hint="a line reads NAME=value")
        name, (value, comment) = match[1], _value(match[2], scope, f"{origin}:{number}")
        values[name] = scope[name] = replaced.get(name, value)
        hints[name] = dict(_HINT.findall(comment))
    return EnvFile({**values, **replaced}, {name: found for name, found in hints.items() if found})


def _value(raw: str, scope: Mapping[str, str], where: str) -> tuple[str, str]:
    raw = raw.strip()
    if raw[:1] in {'"', "'"}:
        quoted = _QUOTED.fullmatch(raw)
        if not quoted:
            raise RecipeFailedError(f"{where}: unterminated quote or text after it", hint="close the quote")
        body, comment = quoted["body"], quoted["comment"] or ""
        if quoted["quote"] == "'":
            return body, comment
        return expand(body.replace(r"\"", '"').replace(r"\n", "\n"), scope, where=where), comment
    cut = _COMMENT.search(raw)
    value, comment = (raw[: cut.start()], raw[cut.end() :]) if cut else (raw, "")
    return expand(value.rstrip(), scope, where=where), comment


def parse_exports(text: str, scope: Mapping[str, str], *, origin: str) -> tuple[dict[str, str], list[str]]:
    """`export NAME=value` lines at the left margin of abra.sh, and the names whose value only a shell could tell."""
    found: dict[str, str] = {}
    unread: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _EXPORT.match(line)
        if not match:
            continue
        name, raw = match[1], match[2].split(";")[0]
        if "$(" in raw or "`" in raw:
            unread.append(name)
        else:
            found[name] = _value(raw, {**scope, **found}, f"{origin}:{number}")[0]
    return found, unread


def generate_secret(hints: Mapping[str, str], *, where: str) -> str:
    """A secret as the recipe's `# length= charset=` hints ask; 32 letters and digits without hints."""
    charset = hints.get("charset", "default")
    length = hints.get("length", str(_DEFAULT_LENGTH))
    if charset not in _CHARSETS:
        raise RecipeFailedError(f"{where}: unknown charset {charset!r}", hint=f"known: {', '.join(_CHARSETS)}")
    if not length.isdecimal() or int(length) not in _LENGTHS:
        raise RecipeFailedError(f"{where}: length {length!r} is not a number from 1 to {_LENGTHS[-1]}")
    return "".join(secrets.choice(_CHARSETS[charset]) for _ in range(int(length)))
