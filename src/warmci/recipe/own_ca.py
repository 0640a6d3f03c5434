"""The containers of an app trust the CA that signs for its own names: files mounted, and variables that name them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from warmci.base import trust
from warmci.base.trust import JKS, PEM

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.recipe.compose_text import Document

Way = Literal["variables", "java", "system"]
USUAL: tuple[Way, ...] = ("variables",)
HOME = "/etc/warmci"
VARIABLES = (*trust.VARIABLES, "KC_TRUSTSTORE_PATHS")
"""The last is Keycloak's, for its back channels."""
_JAVA = "JAVA_TOOL_OPTIONS"
_SYSTEM = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
"""Debian, Alpine and those like them; Fedora and those like it."""


@dataclass(frozen=True)
class OwnCa:
    """What is given, and how."""

    home: Path
    """As trust.provide() wrote it."""
    ways: tuple[Way, ...] = USUAL


def give(document: Document, stack: str, own: OwnCa) -> list[str]:
    """Into each service; what the recipe itself mounts or sets there wins. Returns what was changed, for the result."""
    said: list[str] = []
    if "variables" in own.ways:
        _mount(document, stack, own.home / PEM, f"{HOME}/{PEM}")
        said += [f"own CA: {HOME}/{PEM} in each container, named by {', '.join(VARIABLES)}"]
    if "java" in own.ways:
        _mount(document, stack, own.home / JKS, f"{HOME}/{JKS}")
        said += [f"own CA: {HOME}/{JKS} in each container, named in {_JAVA}"]
    if "system" in own.ways:
        for target in _SYSTEM:
            _mount(document, stack, own.home / PEM, target)
        said += [f"own CA: in each container in place of {' and '.join(_SYSTEM)}"]
    for name, service in document["services"].items():
        theirs = _name_it(service, own.ways)
        said += [f"own CA: {name} has its own {', '.join(theirs)}"] if theirs else []
    return said


def _name_it(service: dict[str, Any], ways: tuple[Way, ...]) -> list[str]:
    """Set the variables; returns those that the recipe has set already."""
    environment = service["environment"] = dict(service.get("environment") or {})
    theirs = []
    for variable in VARIABLES if "variables" in ways else ():
        if environment.get(variable) is None:
            environment[variable] = f"{HOME}/{PEM}"
        else:
            theirs.append(variable)
    if "java" in ways:
        option = f"-Djavax.net.ssl.trustStore={HOME}/{JKS}"
        environment[_JAVA] = f"{environment.get(_JAVA) or ''} {option}".strip()
    return theirs


def _mount(document: Document, stack: str, file: Path, target: str) -> None:
    """As a config, which swarm brings to whatever node runs the task; another content has another name."""
    digest = hashlib.sha256(stack.encode() + b"\0" + file.read_bytes()).hexdigest()[:16]
    key = f"warmci-{file.suffix[1:]}"
    document["configs"] = {**(document.get("configs") or {}), key: {"name": f"warmci-{digest}", "file": str(file)}}
    for service in document["services"].values():
        if target not in _targets(service):
            entry = {"source": key, "target": target, "mode": 0o444}
            service["configs"] = [*(service.get("configs") or []), entry]


def _targets(service: dict[str, Any]) -> set[str]:
    """Where something of the recipe's is mounted already."""
    items = [*(service.get("configs") or []), *(service.get("secrets") or []), *(service.get("volumes") or [])]
    return {str(item.get("target") or f"/{item.get('source')}") for item in items}
