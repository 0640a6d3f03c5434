"""Changes that WarmCI lays over a recipe's document; each is named as a deviation in the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warmci.base.labels import COMMIT_LABEL
from warmci.recipe import healthcheck
from warmci.recipe.trust_gate import SHARED_NETWORKS, real_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmci.recipe.compose_text import Document
    from warmci.recipe.ingress import Routing

_QUICK_MONITOR_S = 0.5
_QUICK_RESTART_DELAY_S = 0.1
_WAY_IN = "warmci"


def publish_route(document: Document, routing: Routing, port: int, *, fronted: bool = False) -> list[str]:
    """Publish only the routed port, in host mode on a port of ours.

    fronted: not even that one, for a proxy of ours has the port and leads to the tasks themselves.
    """
    said = publish_nothing(document)
    route = routing.route
    if route is not None and not fronted:
        entry = {"target": route.port, "published": port, "protocol": "tcp", "mode": "host"}
        document["services"][route.service]["ports"] = [entry]
    if route is not None and route.source != "traefik":
        said += _way_in(document, route.service)
    where = (
        f"{route.service}:{route.port} {'behind port' if fronted else 'published in host mode on port'} {port}"
        if route
        else f"not asked over HTTP, because {routing.because}"
    )
    return [*said, f"ingress direct: {where}"]


def _way_in(document: Document, name: str) -> list[str]:
    """A published port is reached whatever networks a service has: swarm's mesh stands beside them. Ours does not."""
    service, networks = document["services"][name], document.setdefault("networks", {})
    own = service.get("networks") or {"default": None}
    if not all((networks.get(key) or {}).get("internal") for key in own):
        return []
    networks[_WAY_IN] = {}
    service["networks"] = {**own, _WAY_IN: None}
    return [f"{name} has a network of the run's own beside its internal ones, as its published port would give it"]


def own_networks(document: Document) -> list[str]:
    """A network of the run's own in place of each shared one, so that no app of the host is reached, or reaches it.

    On the shared one `app` is every app's name, and its addresses are the host's.
    """
    said = []
    for key, body in (document.get("networks") or {}).items():
        name = real_name(key, body or {})
        if (body or {}).get("external") and name in SHARED_NETWORKS:
            document["networks"][key] = {}
            said.append(f"network {name}: one of the run's own in its place")
    return said


def leave_to_traefik(document: Document, routing: Routing) -> list[str]:
    """Labels and networks stay as the recipe has them; Traefik reads them."""
    route = routing.route
    where = f"{route.service}:{route.port} by its labels" if route else f"not asked, because {routing.because}"
    return [*publish_nothing(document), f"ingress traefik: {where}"]


def publish_nothing(document: Document) -> list[str]:
    """A recipe's own published ports could collide with another run's."""
    dropped = []
    for name, service in document["services"].items():
        ports = service.pop("ports", [])
        dropped += [f"{name}:{entry['published']}" for entry in ports if entry.get("published")]
    return [f"published ports left out: {', '.join(dropped)}"] if dropped else []


def publish_in_host_mode(document: Document) -> list[str]:
    """A proxy's own ports, at the task itself: swarm's routing mesh needs IPVS, and hides who asks."""
    for service in document["services"].values():
        for entry in service.get("ports", []):
            entry["mode"] = "host"
    return []


def place_on(document: Document, node: str) -> list[str]:
    """Every service on one node, where the run's volumes are; the recipe's own constraints hold as well."""
    own = []
    for name, service in document["services"].items():
        deploy = service["deploy"] = dict(service.get("deploy") or {})
        placement = deploy["placement"] = dict(deploy.get("placement") or {})
        constraints = [str(item) for item in placement.get("constraints") or []]
        own += [f"{name}: {item}" for item in constraints]
        placement["constraints"] = [*constraints, f"node.id=={node}"]
    kept = f"; the recipe's own constraints hold beside it: {', '.join(own)}" if own else ""
    return [f"every service is placed on this host's node, {node}{kept}"]


def add_labels(document: Document, labels: Mapping[str, str], app_labels: Mapping[str, str]) -> None:
    """Labels on every object of the stack, so that each can be found and told from others; `app` gets abra's."""
    for name, service in document["services"].items():
        deploy = service["deploy"] = dict(service.get("deploy") or {})
        deploy["labels"] = {**(deploy.get("labels") or {}), **labels, **(app_labels if name == "app" else {})}
    for section in ("networks", "configs", "secrets"):
        for name, body in (document.get(section) or {}).items():
            body = dict(body or {})  # noqa: PLW2901
            if not body.get("external"):
                body["labels"] = {**_as_mapping(body.get("labels")), **labels}
            document[section][name] = body
    # For what the engine makes by itself, for a task that was still being prepared when the volume had gone. Without
    # the commit: swarm would take it for another service.
    of_run = {key: value for key, value in labels.items() if key != COMMIT_LABEL}
    for name, body in (document.get("volumes") or {}).items():
        if not (body or {}).get("external"):
            document["volumes"][name] = {
                **(body or {}),
                "labels": {**_as_mapping((body or {}).get("labels")), **of_run},
            }
    networks = document.setdefault("networks", {}) or {}
    document["networks"] = networks
    uses_default = any(not service.get("networks") for service in document["services"].values())
    if uses_default and "default" not in networks:
        networks["default"] = {"labels": dict(labels)}


def _as_mapping(labels: Any) -> dict[str, Any]:
    if isinstance(labels, list):
        return dict(str(item).partition("=")[::2] for item in labels)
    return dict(labels or {})


def without_ipvs(document: Document) -> list[str]:
    """Names resolve to the tasks themselves: a service's virtual address needs IPVS in the kernel."""
    for service in document["services"].values():
        service["deploy"] = {**(service.get("deploy") or {}), "endpoint_mode": "dnsrr"}
    return ["endpoint_mode: dnsrr on every service (no IPVS in this kernel)"]


def add_hosts(document: Document, hosts: Mapping[str, str]) -> None:
    """The same URL inside containers as outside: names of apps resolve to this host's published ports."""
    for service in document["services"].values():
        service["extra_hosts"] = [
            *service.get("extra_hosts", []),
            *(f"{name}:{address}" for name, address in sorted(hosts.items())),
        ]


def quick_profile(document: Document, check_step_s: float = healthcheck.STEP_S) -> list[str]:
    """Swarm's own waits cut short: a shorter check interval with the same total patience, a short monitor.

    `order` is never changed: two versions on one volume lose data with all health green.
    """
    said = healthcheck.quicken(document["services"], check_step_s)
    for name, service in document["services"].items():
        deploy = service.setdefault("deploy", {})
        if str(deploy.get("mode", "")).endswith("-job"):
            continue  # swarm refuses update settings for jobs, and the default restart condition
        update = deploy["update_config"] = dict(deploy.get("update_config") or {})
        said.append(f"{name}: update_config.monitor {update.get('monitor', '5s')} → {_QUICK_MONITOR_S}s")
        update["monitor"] = f"{int(_QUICK_MONITOR_S * 1000)}ms"
        restart = deploy["restart_policy"] = dict(deploy.get("restart_policy") or {})
        if restart.get("condition", "any") != "none":
            said.append(f"{name}: restart_policy.delay {restart.get('delay', '5s')} → {_QUICK_RESTART_DELAY_S}s")
            restart["delay"] = f"{int(_QUICK_RESTART_DELAY_S * 1000)}ms"
            if "max_attempts" in restart:
                restart["max_attempts"] = int(restart["max_attempts"]) * 10
    return said
