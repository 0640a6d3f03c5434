"""Ingress `direct`: finds the port that a recipe routes, as Traefik would, for publishing it on a port of ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warmci.base.errors import RecipeFailedError

if TYPE_CHECKING:
    from warmci.recipe.compose import Document

_RULE = re.compile(r"traefik\.http\.routers\.[^.]+\.rule")
_PORT = re.compile(r"traefik\.http\.services\.[^.]+\.loadbalancer\.server\.port")
_HOST = re.compile(r"Host\(([^)]*)\)")
PROXY_NETWORK = "proxy"


@dataclass(frozen=True)
class Route:
    service: str
    port: int
    source: str
    """Where the recipe says so: `traefik` label or `ports`."""


def find_route(document: Document, domain: str) -> Route | None:
    """The service and container port that answer for domain; None where the recipe publishes nothing.

    Raises RecipeFailedError for what only a proxy would notice: a rule without the domain, no port, not on the
    proxy's network.
    """
    for name, service in _app_first(document):
        labels = (service.get("deploy") or {}).get("labels") or {}
        if str(labels.get("traefik.enable", "")).lower() == "true":
            return _traefik_route(name, service, labels, domain, document)
    for name, service in _app_first(document):
        for port in service.get("ports", []):
            if port.get("protocol", "tcp") == "tcp":
                return Route(name, int(port["target"]), "ports")
    return None


def _app_first(document: Document) -> list[tuple[str, dict[str, Any]]]:
    return sorted(document["services"].items(), key=lambda item: item[0] != "app")


def _traefik_route(
    name: str, service: dict[str, Any], labels: dict[str, Any], domain: str, document: Document
) -> Route:
    rules = [str(value) for key, value in labels.items() if _RULE.fullmatch(key)]
    hosts = {host.strip("` \"'") for rule in rules for match in _HOST.findall(rule) for host in match.split(",")}
    if domain not in hosts:
        shown = "; ".join(rules) or "no router rule"
        raise RecipeFailedError(
            f"services.{name}: no Traefik rule routes {domain}: {shown}",
            hint="the rule reads Host(`${DOMAIN}`) in deploy.labels",
        )
    ports = [str(value) for key, value in labels.items() if _PORT.fullmatch(key)]
    if not ports or not ports[0].isdecimal():
        raise RecipeFailedError(
            f"services.{name}: no loadbalancer.server.port label", hint="Traefik needs one in swarm"
        )
    networks = document.get("networks") or {}
    if PROXY_NETWORK in networks and PROXY_NETWORK not in (service.get("networks") or {}):
        raise RecipeFailedError(f"services.{name} is routed, but not on the network {PROXY_NETWORK}")
    return Route(name, int(ports[0]), "traefik")
