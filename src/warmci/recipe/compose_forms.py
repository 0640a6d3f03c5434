"""Short forms of a compose service turned into long ones, so that files merge and overlays apply uniformly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from warmci.base.errors import RecipeFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_PORT = re.compile(
    r"(?:(?P<host>\[[0-9a-fA-F:]+\]|\d+(?:\.\d+){3}):)?(?:(?P<published>\d*):)?(?P<target>\d+)(?:/(?P<protocol>tcp|udp|sctp))?"
)


def normalise_service(body: dict[str, Any], env: Mapping[str, str], root: Path, *, where: str) -> dict[str, Any]:
    """A service in long form; env_file is read (inside the checkout only) and folded into environment."""
    service = dict(body)
    environment = _from_env_files(service.pop("env_file", None), root, where)
    environment |= _mapping(service.get("environment"), f"{where}.environment", lookup=env.get)
    if environment:
        service["environment"] = environment
    if "labels" in service:
        service["labels"] = _mapping(service["labels"], f"{where}.labels")
    deploy = service.get("deploy")
    if isinstance(deploy, dict) and "labels" in deploy:
        service["deploy"] = {**deploy, "labels": _mapping(deploy["labels"], f"{where}.deploy.labels")}
    if isinstance(service.get("networks"), list):
        service["networks"] = {str(name): None for name in service["networks"]}
    if isinstance(service.get("extra_hosts"), dict):
        service["extra_hosts"] = [f"{name}:{address}" for name, address in service["extra_hosts"].items()]
    for key in ("extra_hosts", "networks", *_LONG_FORMS):
        if key in service and service[key] is None:
            del service[key]
    for key, long_form in _LONG_FORMS.items():
        if key in service:
            service[key] = [long_form(item, f"{where}.{key}") for item in _listed(service[key], f"{where}.{key}")]
    return service


def _listed(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise RecipeFailedError(f"{where} is not a list")
    return value


def text_of(value: Any, where: str = "a value") -> str:
    """A YAML scalar as Docker's CLI writes it; it refuses booleans, and so do we."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise RecipeFailedError(f"{where} must be a string or a number, not {ascii(value)[:40]}", hint="quote it")


def _mapping(value: Any, where: str, lookup: Callable[[str], str | None] | None = None) -> dict[str, Any]:
    """`[A=1, B]` or `{A: 1, B: }` as a mapping of strings; a bare name takes its value from lookup or is left out."""
    if value is None:
        return {}
    if isinstance(value, dict):
        pairs = [(str(key), None if item is None else text_of(item, f"{where}.{key}")) for key, item in value.items()]
    elif isinstance(value, list):
        split = [text_of(item, where).partition("=") for item in value]
        pairs = [(name, content if equals else None) for name, equals, content in split]
    else:
        raise RecipeFailedError(f"{where} is neither a list nor a mapping")
    found: dict[str, Any] = {}
    for name, content in pairs:
        resolved = content if content is not None or lookup is None else lookup(name)
        if resolved is not None or lookup is None:
            found[name] = resolved if resolved is not None else ""
    return found


def _from_env_files(names: Any, root: Path, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in [names] if isinstance(names, str) else names or []:
        if "\0" in name:
            raise RecipeFailedError(f"{where}.env_file: a file name holds a NUL byte")
        path = (root / name).resolve()
        if root.resolve() not in path.parents:
            raise RecipeFailedError(f"{where}.env_file: {name} lies outside the recipe")
        if not path.is_file():
            raise RecipeFailedError(f"{where}.env_file: {name} does not exist")
        lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
        found |= _mapping([line for line in lines if "=" in line and not line.startswith("#")], where)
    return found


def _port(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        if not isinstance(value.get("target"), int):
            raise RecipeFailedError(f"{where}: a port needs a target number")
        return {"protocol": "tcp", "mode": "ingress", **value}
    match = _PORT.fullmatch(text_of(value, where))
    if not match:
        raise RecipeFailedError(f"{where}: not a single port: {ascii(value)[:60]}", hint='write "8080:80/tcp"')
    long: dict[str, Any] = {"target": int(match["target"]), "protocol": match["protocol"] or "tcp", "mode": "ingress"}
    if match["published"]:
        long["published"] = int(match["published"])
    return long


def _volume(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        if "type" not in value or "target" not in value:
            raise RecipeFailedError(f"{where}: a volume in long form needs type and target")
        return dict(value)
    source, _, rest = text_of(value, where).partition(":")
    if not rest:
        return {"type": "volume", "target": source}
    target, _, mode = rest.partition(":")
    kind = "bind" if source.startswith(("/", ".", "~")) else "volume"
    long: dict[str, Any] = {"type": kind, "source": source, "target": target}
    flags = mode.split(",") if mode else []
    if "ro" in flags:
        long["read_only"] = True
    if "nocopy" in flags:
        long["volume"] = {"nocopy": True}
    return long


def _reference(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        if not isinstance(value.get("source"), str):
            raise RecipeFailedError(f"{where}: an entry in long form needs a source")
        return dict(value)
    return {"source": text_of(value, where)}


_LONG_FORMS: dict[str, Callable[[Any, str], dict[str, Any]]] = {
    "ports": _port,
    "volumes": _volume,
    "secrets": _reference,
    "configs": _reference,
}
