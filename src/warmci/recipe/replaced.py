"""Which services' tasks swarm must replace when one document is deployed over another."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from warmci.recipe import trust_gate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmci.recipe.compose_text import Document
    from warmci.recipe.render import Rendered


def changed_services(base: Rendered, head: Rendered) -> set[str]:
    """Services whose tasks an upgrade must replace: anything but labels and update settings differs.

    A config, secret, network or volume counts by its real name: recipes bump `name: …_${CONF_VERSION}` and leave
    the service's own reference as it is.
    """

    def spec(rendered: Rendered, name: str) -> object:
        service = copy.deepcopy(rendered.document["services"].get(name))
        if service:
            for key in ("labels", "update_config", "rollback_config", "replicas"):
                (service.get("deploy") or {}).pop(key, None)
            service["real names"] = _real_names(rendered.document, service)
        return service

    everything = set(base.document["services"]) | set(head.document["services"])
    return {name for name in everything if spec(base, name) != spec(head, name)}


def _real_names(document: Document, service: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    """(section, key, name in the engine) of what the service refers to."""
    used = {
        "configs": [item["source"] for item in service.get("configs", [])],
        "secrets": [item["source"] for item in service.get("secrets", [])],
        "volumes": [item.get("source", "") for item in service.get("volumes", []) if item["type"] == "volume"],
        "networks": list(service.get("networks") or ["default"]),
    }
    found = set()
    for section, keys in used.items():
        for key in keys:
            body = (document.get(section) or {}).get(key) or {}
            found.add((section, key, trust_gate.real_name(key, body)))
    return found
