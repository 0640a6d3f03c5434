"""What a stranger's compose file may not ask for on the CI host. A guard, not a sandbox (docs/security.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warmci.base.errors import RecipeFailedError
from warmci.recipe import traefik_hosts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from warmci.recipe.compose import Document

SHARED_NETWORKS = frozenset({"proxy"})
_SERVICE_KEYS = (
    "cap_add",
    "sysctls",
    "privileged",
    "devices",
    "pid",
    "network_mode",
    "ipc",
    "security_opt",
    "credential_spec",
)


def findings(document: Document, stack: str, domain: str) -> Iterator[tuple[str, str]]:
    """(what, why) of each construct that reaches out of the stack; `what` is the word for recipe.toml's `allow`."""
    for name, service in document["services"].items():
        for key in _SERVICE_KEYS:
            if service.get(key):
                yield f"{key}:{name}", f"services.{name}.{key} widens what the container may do"
        for volume in service.get("volumes", []):
            if volume["type"] not in {"volume", "tmpfs"}:
                source = str(volume.get("source", ""))
                yield f"{volume['type']}:{source}", f"services.{name} mounts {source} of the host"
        if service.get("build"):
            yield f"build:{name}", f"services.{name} is built; swarm deploys images only"
    yield from _external(document, stack)
    for label, host in traefik_hosts.foreign_hosts(document, domain):
        yield f"host:{host}", f"{label} routes {host}, a host outside {domain}"


def _external(document: Document, stack: str) -> Iterator[tuple[str, str]]:
    for name, volume in (document.get("volumes") or {}).items():
        body: dict[str, Any] = volume or {}
        if body.get("external") or body.get("driver_opts") or body.get("driver", "local") != "local":
            yield f"volume:{name}", f"volumes.{name} is not a plain volume of this stack"
        elif not _own(body.get("name"), f"{stack}_"):
            yield f"volume:{name}", f"volumes.{name} is named {body['name']}, outside this stack"
    yield from _networks(document, stack)
    for section in ("secrets", "configs"):
        for name, item in (document.get(section) or {}).items():
            body = item or {}
            real = real_name(name, body)
            if (body.get("external") or body.get("name")) and not real.startswith(f"{stack}_"):
                yield f"{section[:-1]}:{real}", f"{section}.{name} is named {real}, outside this stack"


def _networks(document: Document, stack: str) -> Iterator[tuple[str, str]]:
    for name, network in (document.get("networks") or {}).items():
        body = network or {}
        real = real_name(name, body)
        if body.get("external") and real not in SHARED_NETWORKS:
            yield f"network:{real}", f"networks.{name} is the foreign network {real}"
        elif not body.get("external"):
            plain = body.get("driver", "overlay") == "overlay" and not body.get("driver_opts")
            if not plain or not _own(body.get("name"), f"{stack}_"):
                yield f"network:{name}", f"networks.{name} is not a plain network of this stack"


def real_name(name: str, body: dict[str, Any]) -> str:
    """Of a network, secret or config in the engine, `external: {name: X}` (the old form) included."""
    external = body.get("external")
    inner = external.get("name") if isinstance(external, dict) else None
    return str(inner or body.get("name") or name)


def _own(name: str | None, prefix: str) -> bool:
    return name is None or str(name).startswith(prefix)


def check(document: Document, stack: str, domain: str, allow: Sequence[str]) -> list[str]:
    """Refuse what the operator did not allow; returns what was allowed, for the result."""
    allowed = []
    for what, why in findings(document, stack, domain):
        if what not in allow:
            raise RecipeFailedError(
                f"refused: {why}", hint=f'if the operator trusts this: allow = ["{what}"] in the recipe\'s recipe.toml'
            )
        allowed.append(f"allowed by the operator: {what}")
    return allowed
