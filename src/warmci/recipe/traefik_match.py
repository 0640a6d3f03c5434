"""Whether a rule matches a request: Traefik's matchers, those of v3 and those of v2 (pkg/muxer/http of its source)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import re2

from warmci.recipe.traefik_rules import Call, Join, RuleError, Tree, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Syntax = Literal["v2", "v3"]
V3 = (
    *("ClientIP", "Method", "Host", "HostRegexp", "Path", "PathRegexp", "PathPrefix"),
    *("Header", "HeaderRegexp", "Query", "QueryRegexp"),
)
V2 = (
    *("Host", "HostHeader", "HostRegexp", "ClientIP", "Path", "PathPrefix"),
    *("Method", "Headers", "HeadersRegexp", "Query"),
)
TCP = ("HostSNI", "HostSNIRegexp", "ClientIP", "ALPN")
_QUIET = re2.Options()
_QUIET.log_errors = False
_QUIET.max_mem = 1 << 20
_CIDR = re.compile(r"[0-9a-fA-F.:]+/\d+")


@dataclass(frozen=True)
class Request:
    """What is asked: GET / without a query, as the first look of a browser."""

    host: str
    path: str = "/"
    method: str = "GET"
    client: str = "127.0.0.1"
    headers: Mapping[str, str] = field(default_factory=lambda: {"accept": "*/*"})


@dataclass(frozen=True)
class Rule:
    """A rule that Traefik takes."""

    tree: Tree
    syntax: Syntax

    def matches(self, request: Request) -> bool:
        return holds(self.tree, lambda call: _test(call, self.syntax)(request))

    def may_match_host(self, host: str) -> bool:
        """Whether some request for that host matches, whatever its path and headers."""
        request = Request(host)
        return holds(
            self.tree,
            lambda call: _test(call, self.syntax)(request) if call.name.startswith("Host") else not call.negated,
        )


def readings(rule: str, syntax: str = "") -> list[Rule]:
    """The rule in that syntax; without one in v3's and in v2's, as far as they take it: the host's Traefik has either.

    Raises RuleError where none does, with what v3 says of it.
    """
    if syntax == "v2":
        return [_checked(Rule(parse(rule, V2), "v2"))]
    if syntax:
        return [_checked(Rule(parse(rule, V3), "v3"))]
    found, first = [], None
    for matchers, each in ((V3, "v3"), (V2, "v2")):
        try:
            found.append(_checked(Rule(parse(rule, matchers), "v2" if each == "v2" else "v3")))
        except RuleError as error:
            first = first or error
    if not found and first is not None:
        raise first
    return found


def _checked(rule: Rule) -> Rule:
    _every_call(rule.tree, rule.syntax)
    return rule


def _every_call(tree: Tree, syntax: Syntax) -> None:
    if isinstance(tree, Join):
        _every_call(tree.left, syntax)
        _every_call(tree.right, syntax)
    else:
        _test(tree, syntax)


def holds(tree: Tree, look: Callable[[Call], bool]) -> bool:
    """Whether the rule holds where look says so of each call, as if it were not negated."""
    if isinstance(tree, Join):
        sides = (holds(tree.left, look), holds(tree.right, look))
        return all(sides) if tree.every else any(sides)
    return look(tree) != tree.negated


def _test(call: Call, syntax: Syntax) -> Callable[[Request], bool]:
    return _test_v2(call) if syntax == "v2" else _test_v3(call)


def _test_v3(call: Call) -> Callable[[Request], bool]:
    name, values = call.name, call.values
    wanted = (1, 2) if name.startswith("Query") else (2,) if name.startswith("Header") else (1,)
    if len(values) not in wanted:
        raise RuleError(f"unexpected number of parameters of {name}; got {len(values)}, expected one of {wanted}")
    value = values[-1]
    if name in {"Path", "PathPrefix"}:
        if not value.startswith("/"):
            raise RuleError(f"path {value!r} does not start with a '/'")
        return (lambda r: r.path == value) if name == "Path" else (lambda r: r.path.startswith(value))
    if name in {"HostRegexp", "PathRegexp"}:
        if name == "HostRegexp":
            _require_ascii(value)
        pattern = _compiled(value)
        return lambda r: pattern.search(r.host if name == "HostRegexp" else r.path) is not None
    if name in {"HeaderRegexp", "QueryRegexp"} and len(values) == 2:
        pattern = _compiled(value)
        return lambda r: name == "HeaderRegexp" and _has_header(r, values[0], pattern)
    if name == "Header":
        return lambda r: _header(r, values[0]) == value
    if name in {"Query", "QueryRegexp"}:
        return lambda _: False
    return _same(name, values)


def _test_v2(call: Call) -> Callable[[Request], bool]:
    name, values = call.name, call.values
    if name in {"Path", "PathPrefix"}:
        if wrong := [value for value in values if not value.startswith("/")]:
            raise RuleError(f"mux: path must start with a slash, got {wrong[0]!r}")
        patterns = [_template(value, "[^/]+", end="" if name == "PathPrefix" else "$") for value in values]
        return lambda r: any(pattern.search(r.path) for pattern in patterns)
    if name == "HostRegexp":
        for value in values:
            _require_ascii(value)
        hosts = [_template(value, "[^.]+", flags="(?i)") for value in values]
        return lambda r: any(pattern.search(r.host) for pattern in hosts)
    if name in {"Headers", "HeadersRegexp"}:
        return _headers_v2(name, values)
    if name == "Query":
        if sum(len(value.split("=", 1)) for value in values) % 2:
            raise RuleError(f"mux: number of parameters must be multiple of 2, got {list(values)}")
        for value in values:
            _template(value, ".*")
        return lambda _: False
    return _same(name, values)


def _headers_v2(name: str, values: Sequence[str]) -> Callable[[Request], bool]:
    if len(values) % 2:
        raise RuleError(f"mux: number of parameters must be multiple of 2, got {list(values)}")
    pairs = list(zip(values[::2], values[1::2], strict=True))
    if name == "Headers":
        return lambda r: all(_header(r, key) == value for key, value in pairs)
    compiled = [(key, _compiled(value)) for key, value in pairs]
    return lambda r: all(_has_header(r, key, value) for key, value in compiled)


def _same(name: str, values: Sequence[str]) -> Callable[[Request], bool]:
    """What both versions know; v2 takes several values."""
    if name == "Method":
        return lambda r: r.method in {value.upper() for value in values}
    if name == "ClientIP":
        networks = [_network(value) for value in values]
        return lambda r: any(ipaddress.ip_address(r.client) in network for network in networks)
    for value in values:
        _require_ascii(value)
    hosts = {value.lower() for value in values}
    return lambda r: _is_host(r.host.lower(), hosts)


def _is_host(host: str, hosts: set[str]) -> bool:
    return host in hosts or f"{host}." in hosts or (host.endswith(".") and host[:-1] in hosts)


def _header(request: Request, name: str) -> str | None:
    return request.headers.get(name.lower())


def _has_header(request: Request, name: str, pattern: re2._Regexp[str]) -> bool:
    value = _header(request, name)
    return value is not None and pattern.search(value) is not None


def _require_ascii(value: str) -> None:
    if not value.isascii():
        raise RuleError(f"invalid value {value!r}, non-ASCII characters are not allowed")


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        if "/" in value and not _CIDR.fullmatch(value):
            raise RuleError(f"invalid address {value!r}")
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise RuleError(f"invalid address {value!r}") from None


def _compiled(pattern: str) -> re2._Regexp[str]:
    """Go's regular expressions are RE2's: linear in time, whatever a stranger writes."""
    try:
        return re2.compile(pattern, _QUIET)
    except re2.error as error:
        raise RuleError(f"regular expression {pattern!r}: {_text(error)}") from None


def _text(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def template_pattern(template: str, default: str) -> str:
    """v2's `{name:pattern}.rest` as a regular expression (gorilla/mux, newRouteRegexp)."""
    made, level, begin = "", 0, 0
    for at, letter in enumerate(template):
        if letter == "{":
            if level == 0:
                made, begin = made + re2.escape(template[begin:at]), at + 1
            level += 1
        elif letter == "}":
            level -= 1
            if level < 0:
                break
            if level == 0:
                name, colon, pattern = template[begin:at].partition(":")
                if not name or (colon and not pattern):
                    raise RuleError(f"mux: missing name or pattern in {template!r}")
                _compiled(f"^{pattern or default}$")
                made, begin = f"{made}({pattern or default})", at + 1
    if level != 0:
        raise RuleError(f"mux: unbalanced braces in {template!r}")
    return made + str(re2.escape(template[begin:]))


def _template(template: str, default: str, *, end: str = "$", flags: str = "") -> re2._Regexp[str]:
    return _compiled(f"{flags}^{template_pattern(template, default)}{end}")
