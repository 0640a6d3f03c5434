"""Which service answers for an app's domain: the choice that Traefik makes for GET https://DOMAIN/."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warmci.base.errors import RecipeFailedError
from warmci.recipe.traefik_labels import PLAIN, SECURE, Labels, Router, listens, read_labels
from warmci.recipe.traefik_match import Request, readings
from warmci.recipe.traefik_rules import RuleError
from warmci.recipe.trust_gate import real_name

if TYPE_CHECKING:
    from warmci.recipe.compose_text import Document

PROXY_NETWORK = "proxy"
_OWN_PROVIDERS = frozenset({"swarm", "docker"})
_SCHEMES = frozenset({"http", "https", "h2c"})
_NO_WEB = frozenset(
    {21, 22, 23, 25, 53, 110, 143, 389, 465, 587, 636, 873, 993, 995, 1883, 3306, 3478, 4190, 5222, 5269, 5349, 5432}
    | {5672, 6379, 6667, 6697, 8883, 11211, 27017, 64738}
)
"""Ports of protocols that are no HTTP: a request there would say nothing of the app."""
NONE = "none"
ROUTE = re.compile(rf"{NONE}|(?:(?P<scheme>https?|h2c)://)?(?P<service>[A-Za-z0-9][\w.-]*):(?P<port>[1-9]\d{{0,4}})")
"""What recipe.toml's `route` may be."""


@dataclass(frozen=True)
class Route:
    service: str
    port: int
    source: str
    """Where this was said: `traefik` label, `ports`, or `recipe.toml`."""
    scheme: str = "http"
    """What the task speaks there: http, https or h2c."""
    host: str = ""
    """Whose name is asked."""


@dataclass(frozen=True)
class Ask:
    """What recipe.toml says of it."""

    route: str = ""
    """`service:port`, `https://service:port`, or `none`; empty: as the labels say."""
    host: str = ""
    """The host to ask; empty: the app's domain."""
    path: str = "/"


AS_LABELLED = Ask()


@dataclass(frozen=True)
class Routing:
    route: Route | None
    because: str = ""
    """Why there is none."""
    said: tuple[str, ...] = ()
    """What Traefik would leave out, beside the route that was found."""


def find_route(document: Document, domain: str, ask: Ask = AS_LABELLED) -> Routing:
    """The service, port and scheme that answer for the domain.

    Raises RecipeFailedError for labels of which Traefik makes no route although they mean to: a rule that it cannot
    read, no port, a service that is not on the proxy's network.
    """
    if ask.route:
        return _asked_for(document, ask.route, ask.host or domain)
    labels = read_labels(dict(_app_first(document)))
    if labels.enabled or labels.faults:
        return _by_labels(document, labels, Request(ask.host or domain, ask.path.partition("?")[0]))
    published = [
        (name, int(port["target"]))
        for name, service in _app_first(document)
        for port in service.get("ports", [])
        if port.get("protocol", "tcp") == "tcp"
    ]
    for name, target in published:
        if target not in _NO_WEB:
            return Routing(Route(name, target, "ports", host=ask.host or domain))
    if published:
        others = ", ".join(f"{name}:{target}" for name, target in published)
        return Routing(None, f"it has no Traefik labels and publishes only ports of other protocols: {others}")
    if misplaced := [name for name, service in _app_first(document) if _has_misplaced(service)]:
        return Routing(None, f"the Traefik labels of {misplaced[0]} are not in deploy.labels, where swarm reads them")
    return Routing(None, "no service has traefik.enable=true or publishes a TCP port")


def behind_traefik(routing: Routing) -> Routing:
    """The same where a real Traefik stands before the app: of what a recipe publishes itself it knows nothing."""
    if routing.route is not None and routing.route.source == "ports":
        return Routing(None, "it publishes ports and has no Traefik labels", routing.said)
    return routing


def _asked_for(document: Document, route: str, host: str) -> Routing:
    match = ROUTE.fullmatch(route)
    if match is None:
        raise AssertionError(f"recipe.toml was not checked: {route}")
    if route == NONE:
        return Routing(None, 'recipe.toml says route = "none"')
    name = match["service"]
    if name not in document["services"]:
        raise RecipeFailedError(f"recipe.toml routes {name}, which is no service of the recipe")
    return Routing(Route(name, int(match["port"]), "recipe.toml", match["scheme"] or "http", host))


def _app_first(document: Document) -> list[tuple[str, dict[str, Any]]]:
    return sorted(document["services"].items(), key=lambda item: item[0] != "app")


def _has_misplaced(service: dict[str, Any]) -> bool:
    return any(str(label).lower().startswith("traefik.enable") for label in service.get("labels") or ())


def _by_labels(document: Document, labels: Labels, request: Request) -> Routing:
    matching, host = [], request.host
    for router in labels.routers:
        try:
            if any(reading.matches(request) for reading in readings(router.rule, router.syntax)):
                matching.append(router)
        except RuleError as error:
            labels.faults.append(f"{router}: {error}")
    chosen = _first(matching)
    if chosen is not None:
        return _to_backend(document, labels, chosen, host)
    if labels.faults:
        raise RecipeFailedError(
            f"Traefik makes no route to {host} of these labels: {labels.faults[0]}",
            hint="the rule reads Host(`${DOMAIN}`) in deploy.labels, with one loadbalancer.server.port",
        )
    return Routing(None, _why_none(labels, matching, host, request.path))


def _why_none(labels: Labels, matching: list[Router], host: str, path: str) -> str:
    if matching:
        others = ", ".join(f"{router.name} on {'/'.join(router.entry_points)}" for router in matching)
        return f"{host} is routed on no web entry point, only: {others}"
    if labels.routers:
        return f"no Traefik rule routes {host}{path}: {'; '.join(router.rule for router in labels.routers)}"
    if labels.tcp_routers:
        return f"it has only TCP routers: {'; '.join(router.rule for router in labels.tcp_routers)}"
    if labels.udp_routers:
        return f"it has only UDP routers: {', '.join(labels.udp_routers)}"
    return "its Traefik labels have no router with a rule"


def _first(matching: list[Router]) -> Router | None:
    """The router that Traefik takes on its https entry point, else on the plain one."""
    for names in (SECURE, PLAIN):
        here = [router for router in matching if listens(router.entry_points, names)]
        if here:
            return max(here, key=lambda router: router.priority or len(router.rule.encode()))
    return None


def _to_backend(document: Document, labels: Labels, router: Router, host: str) -> Routing:
    said = tuple(f"Traefik leaves out: {fault}" for fault in labels.faults)
    name, _, provider = router.service.partition("@")
    if provider and provider not in _OWN_PROVIDERS:
        return Routing(None, f"router {router.name} leads to {router.service}, which is not of this recipe", said)
    backend = labels.backends.get(name)
    if backend is None:
        raise RecipeFailedError(
            f"router {router.name} leads to the service {name}, which no label defines",
            hint=f"traefik.http.services.{name}.loadbalancer.server.port in deploy.labels",
        )
    if "://" in backend.port:
        return Routing(None, f"router {router.name} leads to {backend.port}, which is not of this recipe", said)
    where = f"traefik.http.services.{name}.loadbalancer.server"
    if not backend.port.isdecimal() or not 0 < int(backend.port) < 65536:
        raise RecipeFailedError(f"services.{backend.owner}: {where}.port is no port: {backend.port!r}")
    if backend.scheme not in _SCHEMES:
        raise RecipeFailedError(f"services.{backend.owner}: {where}.scheme is none of Traefik's: {backend.scheme!r}")
    networks, own = document.get("networks") or {}, document["services"][backend.owner].get("networks") or {}
    proxies = {key for key, body in networks.items() if real_name(key, body or {}) == PROXY_NETWORK}
    if proxies and proxies.isdisjoint(own):
        raise RecipeFailedError(f"services.{backend.owner} is routed, but not on the network {PROXY_NETWORK}")
    return Routing(Route(backend.owner, int(backend.port), "traefik", backend.scheme, host), "", said)
