"""Traefik's rules, as it parses them: a call per matcher, joined by &&, || and !, in the syntax of a Go expression.

Traefik gives a rule to Go's own parser and walks the tree (github.com/vulcand/predicate): so a line may not end after
a call, comments are allowed, and a string is `raw` or "interpreted". tests/recipe compares with Traefik itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH = 10_000
_MAX_DEPTH = 100
"""Bounds of ours on what a stranger's rule may cost."""
_TOKEN = re.compile(
    r"""(?P<blank>(?:[ \t\r]|/\*[^\n]*?\*/)+)
      | (?P<line>\n|//[^\n]*(?:\n|\Z)|/\*.*?\*/)
      | (?P<name>[^\W\d]\w*)
      | (?P<raw>`[^`]*`)
      | (?P<text>"(?:[^"\\\n]|\\.)*")
      | (?P<sign>&&|\|\||[!(),])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"""\\(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(?P<wrong>))"""
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


class RuleError(ValueError):
    """Traefik does not take the rule; says why."""


@dataclass(frozen=True)
class Call:
    """One matcher with its arguments, its name as Traefik's documentation spells it."""

    name: str
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True)
class Join:
    """Both sides (every) or at least one."""

    every: bool
    left: Tree
    right: Tree


Tree = Call | Join


def calls(tree: Tree) -> Iterator[Call]:
    if isinstance(tree, Join):
        yield from calls(tree.left)
        yield from calls(tree.right)
    else:
        yield tree


def parse(rule: str, matchers: tuple[str, ...]) -> Tree:
    """The rule's tree, of calls to these matchers. Raises RuleError."""
    if len(rule) > MAX_LENGTH:
        raise RuleError(f"a rule of {len(rule)} characters")
    return _Parser(list(_tokens(rule)), _spellings(matchers)).whole()


def _spellings(matchers: tuple[str, ...]) -> dict[str, str]:
    return {
        spelling: name for name in matchers for spelling in (name, name.lower(), name.upper(), name.lower().title())
    }


def _tokens(rule: str) -> Iterator[tuple[str, str]]:
    """(kind, text); a line's end after a name, a string or a closing parenthesis ends the expression, as in Go."""
    at, ends, ended = 0, False, False
    while at < len(rule):
        match = _TOKEN.match(rule, at)
        if match is None:
            raise RuleError(f"unexpected {rule[at]!r} at character {at + 1}")
        at, kind, text = match.end(), str(match.lastgroup), match.group()
        if kind == "blank":
            continue
        if kind == "line":
            ended = ended or ends
            continue
        if ended:
            raise RuleError(f"{text[:20]!r} begins a new line without an operator")
        ends = kind in {"name", "raw", "text"} or text == ")"
        yield kind, text


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], names: dict[str, str]) -> None:
        self._tokens, self._names = [*tokens, ("end", "the end")], names
        self._at, self._depth = 0, 0

    def whole(self) -> Tree:
        tree = self._any()
        self._expect("the end")
        return tree

    @property
    def _next(self) -> str:
        kind, text = self._tokens[self._at]
        return text if kind in {"sign", "end"} else f"a {kind}"

    def _expect(self, text: str) -> None:
        if self._next != text:
            raise RuleError(f"expected {text}, found {self._tokens[self._at][1][:40]}")
        self._at += 1

    def _any(self) -> Tree:
        tree = self._every()
        while self._next == "||":
            self._at += 1
            tree = Join(every=False, left=tree, right=self._every())
        return tree

    def _every(self) -> Tree:
        tree = self._one()
        while self._next == "&&":
            self._at += 1
            tree = Join(every=True, left=tree, right=self._one())
        return tree

    def _one(self) -> Tree:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise RuleError(f"nested more than {_MAX_DEPTH} deep")
        try:
            if self._next == "!":
                self._at += 1
                return _inverted(self._one())
            if self._next == "(":
                self._at += 1
                tree = self._any()
                self._expect(")")
                return tree
            return self._call()
        finally:
            self._depth -= 1

    def _call(self) -> Call:
        spelling = self._tokens[self._at][1]
        self._expect("a name")
        if spelling not in self._names:
            raise RuleError(f"unsupported function: {spelling}")
        self._expect("(")
        values = []
        while self._next != ")":
            values.append(self._string())
            if self._next != ")":
                self._expect(",")
        self._expect(")")
        if not values:
            raise RuleError(f"no args for matcher {spelling}")
        if not all(values):
            raise RuleError(f"empty args for matcher {spelling}")
        return Call(self._names[spelling], tuple(values))

    def _string(self) -> str:
        kind, text = self._tokens[self._at]
        if kind not in {"raw", "text"}:
            raise RuleError(f"expected a string, found {text[:40]}")
        self._at += 1
        if kind == "raw":
            return text[1:-1].replace("\r", "")
        return _ESCAPE.sub(_unescaped, text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    simple, hexadecimal, octal, short, long = match.groups()[:5]
    if simple:
        return _SIMPLE[simple]
    digits, base = (octal, 8) if octal else (hexadecimal or short or long, 16)
    code = int(digits, base) if digits else -1
    surrogate = 0xD800 <= code <= 0xDFFF
    if code < 0 or code > (0xFF if octal else 0x10FFFF) or surrogate:
        raise RuleError("unknown escape in a string")
    return chr(code)


def _inverted(tree: Tree) -> Tree:
    if isinstance(tree, Join):
        return Join(not tree.every, _inverted(tree.left), _inverted(tree.right))
    return replace(tree, negated=not tree.negated)
