"""What a stranger's compose file may not ask for on the CI host. A guard, not a sandbox (docs/security.md)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from warmci.base.errors import RefusedError
from warmci.recipe import traefik_hosts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from warmci.recipe.compose_text import Document

SHARED_NETWORKS = frozenset({"proxy"})
# A process may not gain privileges by a set-uid program: it narrows, whatever its value.
_HARDENING = re.compile(r"no-new-privileges([:=](true|false))?")
_SERVICE_KEYS = (
    "cap_add",
    "sysctls",
    "privileged",
    "devices",
    "pid",
    "network_mode",
    "ipc",
    "credential_spec",
)
_TASKS_MAX = 200
"""Ten times what recipes have; each is a container, and a process beside it."""


def findings(document: Document, stack: str, domain: str, *, shared: bool = False) -> Iterator[tuple[str, str]]:
    """(what, why) of each construct that reaches out of the stack; `what` is the word for recipe.toml's `allow`."""
    for name, service in document["services"].items():
        for key in _SERVICE_KEYS:
            if service.get(key):
                yield f"{key}:{name}", f"services.{name}.{key} widens what the container may do"
        if widened := [option for option in service.get("security_opt") or [] if not _HARDENING.fullmatch(str(option))]:
            yield (
                f"security_opt:{name}",
                f"services.{name}.security_opt {', '.join(map(str, widened))} loosens its confinement",
            )
        for volume in service.get("volumes", []):
            if volume["type"] not in {"volume", "tmpfs"}:
                source = str(volume.get("source", ""))
                yield f"{volume['type']}:{source}", f"services.{name} mounts {source} of the host"
        if service.get("build"):
            yield f"build:{name}", f"services.{name} is built; swarm deploys images only"
    if (number := sum(map(_tasks, document["services"].values()))) > _TASKS_MAX:
        yield (
            f"tasks:{number}",
            f"the stack asks for {number} tasks, more than {_TASKS_MAX} are too much for a host",
        )
    yield from _external(document, stack)
    for label, host in traefik_hosts.foreign_hosts(document, domain, shared=shared):
        yield f"host:{host}", f"{label} routes {host}, a host outside {domain}"


def _tasks(service: dict[str, Any]) -> int:
    replicas = (service.get("deploy") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _external(document: Document, stack: str) -> Iterator[tuple[str, str]]:
    for name, volume in (document.get("volumes") or {}).items():
        body: dict[str, Any] = volume or {}
        if why := _foreign_volume(body, stack):
            yield f"volume:{name}", f"volumes.{name} {why}"
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
        elif not body.get("external") and (why := _foreign_network(body, stack)):
            yield f"network:{name}", f"networks.{name} {why}"


def _foreign_volume(body: dict[str, Any], stack: str) -> str:
    """What makes it more than a plain volume of this stack; empty for such a one."""
    if body.get("external"):
        return "is external: it belongs to another stack"
    if body.get("driver", "local") != "local":
        return f"has the driver {body['driver']}"
    if options := body.get("driver_opts"):
        return f"has driver_opts ({', '.join(map(str, options))}), which mount what they name"
    return "" if _own(body.get("name"), f"{stack}_") else f"is named {body['name']}, outside this stack"


def _foreign_network(body: dict[str, Any], stack: str) -> str:
    """What makes it more than an overlay of this stack; that its traffic is encrypted harms nobody."""
    driver, options = body.get("driver", "overlay"), set(body.get("driver_opts") or {}) - {"encrypted"}
    if driver != "overlay":
        return f"has the driver {driver}"
    if options:
        return f"has driver_opts ({', '.join(sorted(map(str, options)))})"
    return "" if _own(body.get("name"), f"{stack}_") else f"is named {body['name']}, outside this stack"


def real_name(name: str, body: dict[str, Any]) -> str:
    """Of a network, secret or config in the engine; the CLI has made the old `external: {name: X}` a `name`."""
    return str(body.get("name") or name)


def _own(name: str | None, prefix: str) -> bool:
    return name is None or str(name).startswith(prefix)


def allowed_text(what: str) -> str:
    """How the result says that the operator allowed it."""
    return f"allowed by the operator: {what}"


def allow_line(words: Iterable[str]) -> str:
    """The line of recipe.toml that lets these pass. TOML's strings are JSON's, but for DEL and what is past 16 bits."""
    quoted = (json.dumps(word, ensure_ascii=False).replace("\x7f", "\\u007f") for word in words)
    return f"allow = [{', '.join(quoted)}]"


def check(document: Document, stack: str, domain: str, allow: Sequence[str], *, shared: bool = False) -> list[str]:
    """What was allowed, for the result. shared: others are behind the same Traefik.

    Raises RefusedError, naming all that the operator did not allow.
    """
    allowed: list[str] = []
    refused: dict[str, list[str]] = {}
    for what, why in findings(document, stack, domain, shared=shared):
        if what in allow:
            allowed.append(allowed_text(what))
        else:
            refused.setdefault(what, []).append(why)
    if refused:
        raise RefusedError(
            f"refused: {'; '.join(why for reasons in refused.values() for why in reasons)}",
            refused=refused,
            hint=f"if the operator trusts this: {allow_line(refused)} in the recipe's recipe.toml",
            log="\n".join(f"{what}: {'; '.join(reasons)}" for what, reasons in refused.items()),
        )
    return allowed
