"""Rules that reach for a host that is not the app's: at a shared Traefik they take a neighbour's traffic."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from warmci.recipe import traefik_labels, traefik_match
from warmci.recipe.traefik_rules import RuleError, calls, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from warmci.recipe.compose_text import Document
    from warmci.recipe.traefik_rules import Call

_RULE = re.compile(r"traefik\.(http|tcp)\.routers\..*\.rule", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|.", re.DOTALL)
_NEIGHBOURS = ("neighbour.invalid", "www.neighbour.invalid")
"""Nobody's: a rule that matches them matches everybody's."""
ANY = "*"
_DEPTH_MAX = 20


def foreign_hosts(document: Document, domain: str, *, shared: bool = False) -> Iterator[tuple[str, str]]:
    """(label, host) of each host that a rule names or matches outside the domain; * for any host at all.

    A service's labels count whether or not it is enabled: a Traefik may expose all by default. shared: others are
    behind the same Traefik, so that a stream that takes all that comes must keep to an entry point of its own.
    """
    for name, service in document["services"].items():
        labels = (service.get("deploy") or {}).get("labels") or {}
        for key, value in labels.items():
            found = _RULE.fullmatch(str(key))
            if found is None:
                continue
            if found[1].lower() == "tcp":
                hosts = _of_tcp(str(value), domain, among_sites=shared and _is_among_sites(labels, str(key)))
            else:
                hosts = _of_http(str(value), domain)
            yield from ((f"services.{name}.deploy.labels.{key}", host) for host in sorted(hosts))


def _is_own(host: str, domain: str) -> bool:
    plain = host.lower().rstrip(".")
    return plain == domain or plain.endswith(f".{domain}")


def _of_http(rule: str, domain: str) -> set[str]:
    """A router without a rule that Traefik takes routes nothing."""
    try:
        readings = traefik_match.readings(rule)
    except RuleError:
        return set()
    found = set()
    for reading in readings:
        for call in calls(reading.tree):
            if call.name in {"Host", "HostHeader"}:
                found |= {host.lower() for host in call.values if not _is_own(host, domain)}
            elif call.name == "HostRegexp":
                found |= {value for value in call.values if not _keeps_to(value, reading.syntax, domain)}
        if any(reading.may_match_host(host) for host in _NEIGHBOURS):
            found.add(ANY)
    return found


def _keeps_to(pattern: str, syntax: str, domain: str) -> bool:
    if syntax == "v3":
        return requires(pattern, domain)
    if "{" in pattern:
        return requires(traefik_match.template_pattern(pattern, "[^.]+"), domain)
    return _is_own(pattern, domain) or not _HOST.fullmatch(pattern)


def _is_among_sites(labels: Mapping[str, str], key: str) -> bool:
    """Whether a stream's router stands where web sites are asked for: there it goes before all of theirs."""
    wanted = f"{key.lower().removesuffix('.rule')}.entrypoints"
    said = next((str(value) for name, value in labels.items() if str(name).lower() == wanted), "")
    return traefik_labels.listens(traefik_labels.entry_points(said), traefik_labels.SECURE | traefik_labels.PLAIN)


def _of_tcp(rule: str, domain: str, *, among_sites: bool) -> set[str]:
    """HostSNI(`*`) alone is how a stream without TLS is routed, at an entry point of its own."""
    try:
        tree = parse(rule, traefik_match.TCP)
    except RuleError:
        return set()
    found = set()
    for call in calls(tree):
        if call.name == "HostSNI":
            found |= {host.lower() for host in call.values if host != ANY and not _is_own(host, domain)}
        elif call.name == "HostSNIRegexp":
            found |= {value for value in call.values if not _keeps_to(value, "v3", domain)}
    return found | {ANY} if among_sites and traefik_match.holds(tree, _may_take_all) else found


def _may_take_all(call: Call) -> bool:
    if call.name == "HostSNI":
        return ANY in call.values
    return call.name != "HostSNIRegexp" and not call.negated


def requires(pattern: str, domain: str, depth: int = 0) -> bool:
    """Whether all that the pattern matches contains the domain: each alternative does, in what cannot be left out.

    Errs on the side of no, so of groups in groups in groups (depth).
    """
    if "\\Q" in pattern:
        return False  # what follows is literal, its parentheses too
    return depth < _DEPTH_MAX and all(_alternative_requires(part, domain, depth) for part in _alternatives(pattern))


def _alternatives(pattern: str) -> list[str]:
    """The pattern cut at its own |, not at those of its groups."""
    parts, depth, begin = [], 0, 0
    for at, piece in _pieces(pattern):
        depth += (piece == "(") - (piece == ")")
        if piece == "|" and depth == 0:
            parts.append(pattern[begin:at])
            begin = at + 1
    return [*parts, pattern[begin:]]


def _alternative_requires(part: str, domain: str, within: int) -> bool:
    literal, depth, begin = "", 0, 0
    for at, piece in _pieces(part):
        if piece == "(":
            begin = at + 1 if depth == 0 else begin
            depth += 1
        elif piece == ")":
            depth -= 1
            optional = part[at + 1 : at + 2] in {"?", "*", "{"}
            if depth == 0 and not optional:
                group = re.sub(r"^\?(:|P?<\w+>)", "", part[begin:at])
                if requires(group, domain, within + 1):
                    return True
            literal += "\n"
        elif depth == 0:
            is_sign = piece[0] == "\\" and not piece[1:].isalnum()  # \\w is no w
            literal += piece if len(piece) == 1 else piece[1] if is_sign else "\n"
    # Without a backslash the dot of a name matches any letter: as good as named.
    return domain in literal.lower()


def _pieces(pattern: str) -> Iterator[tuple[int, str]]:
    """(position, piece): one character, one escaped character, or a whole class in brackets, as RE2 has it."""
    for match in _PIECE.finditer(pattern):
        yield match.start(), match.group()
