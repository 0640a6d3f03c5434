"""Routers and services as Traefik's swarm provider makes them of the labels in deploy.labels (pkg/provider/docker)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SECURE = frozenset({"websecure", "https", "secure"})
PLAIN = frozenset({"web", "http"})
"""Entry points of a web site, by their usual names without - and _; another one is a port of its own."""
_ROOT = "traefik"
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_ROUTER = frozenset(
    {"entrypoints", "middlewares", "service", "rule", "rulesyntax", "priority", "tls", "observability", "parentrefs"}
)
_SERVER = frozenset({"port", "scheme", "weight", "url", "preservepath"})
_STREAM_SERVER = frozenset({"port", "tls"})
"""A field that Traefik does not know, as in a misspelt label, costs the service all its routes."""


@dataclass(frozen=True)
class Router:
    name: str
    owner: str
    """The compose service that declares it."""
    rule: str
    service: str
    entry_points: tuple[str, ...] = ()
    priority: int = 0
    tls: bool = False
    syntax: str = ""

    def __str__(self) -> str:
        return f"router {self.name}: {self.rule}"


@dataclass(frozen=True)
class Backend:
    """Where one of Traefik's services leads."""

    owner: str
    port: str
    scheme: str


@dataclass
class Labels:
    """What all services' labels come to."""

    routers: list[Router] = field(default_factory=list)
    backends: dict[str, Backend] = field(default_factory=dict)
    tcp_routers: list[Router] = field(default_factory=list)
    udp_routers: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What Traefik would log as an error, and leave out."""
    enabled: list[str] = field(default_factory=list)


class _LabelError(ValueError):
    pass


@dataclass
class _Node:
    """paerser's tree: names are told apart without regard to case, and keep their first spelling."""

    name: str
    value: str = ""
    children: dict[str, _Node] = field(default_factory=dict)

    def at(self, *path: str) -> _Node:
        node = self
        for name in path:
            node = node.children.get(name) or _Node(name)
        return node

    def __iter__(self) -> Iterator[_Node]:
        return iter(self.children.values())


def listens(entry_points: Iterable[str], names: frozenset[str]) -> bool:
    """Whether a router with these entry points is at one of those names; without any it is at all of them."""
    said = list(entry_points)
    return not said or any(re.sub("[-_]", "", name.lower()) in names for name in said)


def entry_points(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def read_labels(services: Mapping[str, Mapping[str, Any]]) -> Labels:
    """services: the document's, in the order in which they are preferred where two are alike."""
    found = Labels()
    for name, service in services.items():
        labels = {key: _text(value) for key, value in ((service.get("deploy") or {}).get("labels") or {}).items()}
        try:
            if not _bool(_tree(labels, "traefik.enable").at("enable").value or "false"):
                continue
            found.enabled.append(name)
            tree = _tree(labels, "traefik.http", "traefik.tcp", "traefik.udp", "traefik.tls.stores.default")
            _read_service(name, tree, found)
        except _LabelError as error:
            found.faults.append(f"services.{name}: Traefik leaves out all its labels: {error}")
    _drop_conflicts(found)
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _tree(labels: Mapping[str, str], *prefixes: str) -> _Node:
    root = _Node(_ROOT)
    for key in sorted(key for key in labels if key.lower().startswith(prefixes)):
        first, *path = key.split(".")
        if first != _ROOT:
            raise _LabelError(f"invalid label root {first}")
        if "" in path or any(part.startswith("[") for part in path):
            raise _LabelError(f"invalid element: {key}")
        node = root
        for part in path:
            node = node.children.setdefault(part.casefold(), _Node(part))
        node.value = labels[key]
    return root


def _bool(value: str) -> bool:
    if value not in _TRUE | _FALSE:
        raise _LabelError(f"{value!r} is neither true nor false")
    return value in _TRUE


def _read_service(name: str, tree: _Node, found: Labels) -> None:
    http, tcp, udp = tree.at("http"), tree.at("tcp"), tree.at("udp")
    streams = any(part.at(kind).children for part in (tcp, udp) for kind in ("routers", "services"))
    for kind in (tcp, udp):
        _require_ports(kind)
    found.udp_routers += [node.name for node in udp.at("routers")]
    raw = [router for node in tcp.at("routers") if (router := _router(name, node, "")).rule]
    if streams and not any(http.at(part).children for part in ("routers", "services", "middlewares")):
        found.tcp_routers += raw
        return
    services = {node.name: _backend(name, node) for node in http.at("services")}
    only = next(iter(services)) if len(services) == 1 else ""
    routers = [_router(name, node, only) for node in http.at("routers")]
    if not services:
        raise _LabelError("port is missing (loadbalancer.server.port)")
    found.tcp_routers += raw
    found.backends |= {key: value for key, value in services.items() if key not in found.backends}
    for router in routers:
        if not router.service:
            names = ", ".join(services)
            found.faults.append(f"router {router.name} cannot be linked automatically with multiple services: {names}")
        else:
            found.routers.append(router)


def _require_ports(kind: _Node) -> None:
    if kind.at("routers").children and not kind.at("services").children:
        raise _LabelError(f"{kind.name} routers, and no {kind.name} service with a port")
    for service in kind.at("services"):
        _backend("", service, _STREAM_SERVER)


def _require_known(node: _Node, fields: frozenset[str]) -> None:
    for child in node:
        if child.name.lower() not in fields:
            raise _LabelError(f"field not found, node: {child.name}")


def _backend(owner: str, node: _Node, fields: frozenset[str] = _SERVER) -> Backend:
    server = node.at("loadbalancer", "server")
    _require_known(server, fields)
    port, url = server.at("port").value, server.at("url").value
    if not port and not url:
        raise _LabelError(f"service {node.name}: port is missing (loadbalancer.server.port)")
    return Backend(owner, port or url, server.at("scheme").value.lower() or "http")


def _router(owner: str, node: _Node, only: str) -> Router:
    _require_known(node, _ROUTER)
    priority, tls = node.children.get("priority", _Node("", "0")).value, node.children.get("tls")
    if not _NUMBER.fullmatch(priority):
        raise _LabelError(f"router {node.name}: priority {priority!r} is no number")
    return Router(
        name=node.name,
        owner=owner,
        rule=node.at("rule").value,
        service=node.at("service").value or only,
        entry_points=entry_points(node.at("entrypoints").value),
        priority=int(priority),
        tls=tls is not None and tls.value.lower() in {"", "true"},
        syntax=node.at("rulesyntax").value,
    )


def _drop_conflicts(found: Labels) -> None:
    """A router that two services declare differently is declared by none."""
    by_name: dict[str, list[Router]] = {}
    for router in found.routers:
        by_name.setdefault(router.name, []).append(router)
    for name, alike in by_name.items():
        said = {(item.rule, item.service, item.entry_points, item.priority, item.tls, item.syntax) for item in alike}
        if len(said) > 1:
            found.faults.append(f"router {name} is defined differently by {', '.join(item.owner for item in alike)}")
        if len(alike) > 1:
            keep = alike[:1] if len(said) == 1 else []
            found.routers = [item for item in found.routers if item.name != name] + keep
    # One without a rule gets the default one, made of the service's name: nothing of ours.
    found.routers = [router for router in found.routers if router.rule]
