"""What an upgrade from one rendered document to another changes, in a maintainer's terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from warmci.base.models import Line, Record
from warmci.recipe.trust_gate import real_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from warmci.recipe.compose_text import Document
    from warmci.recipe.render import Rendered

Kind = Literal["service", "image", "env", "config", "secret", "volume", "mount", "network", "route", "setting"]
_OF_THE_STACK = ("networks", "configs", "secrets", "volumes", "environment", "image", "labels", "deploy")


class Change(Record):
    """Empty `before`: it is new; empty `after`: it is gone."""

    kind: Kind
    what: Line
    before: Line = ""
    after: Line = ""


def changes(base: Rendered, head: Rendered) -> list[Change]:
    found = list(_services(base.document, head.document))
    found += _named("secret", dict.fromkeys(base.secrets, "there"), dict.fromkeys(head.secrets, "there"))
    found += _named("volume", base.volumes, head.volumes)
    found += _named("config", _contents(base.document), _contents(head.document))
    found += _named("network", _real(base.document, "networks"), _real(head.document, "networks"))
    routes = [f"{item.route.service}:{item.route.port}" if item.route else "" for item in (base, head)]
    found += [Change(kind="route", what="HTTP", before=routes[0], after=routes[1])] if routes[0] != routes[1] else []
    return found


def frozen_configs(base: Document, head: Document) -> list[str]:
    """Configs and secrets that have other content under the same name: swarm refuses to change what is there."""
    found = []
    for section in ("configs", "secrets"):
        names = _real(base, section).items() & _real(head, section).items()
        for key, name in sorted(names):
            old, new = (_bytes(document[section][key]) for document in (base, head))
            if old is not None and new is not None and old != new:
                found.append(f"{section}.{key} has other content under the name {name}")
    return found


def _services(base: Document, head: Document) -> Iterator[Change]:
    old, new = base["services"], head["services"]
    yield from _named("service", {name: _image(body) for name, body in old.items()}, _images(new), only_keys=True)
    for name in sorted(old.keys() & new.keys()):
        before, after = old[name], new[name]
        if _image(before) != _image(after):
            yield Change(kind="image", what=name, before=_image(before), after=_image(after))
        yield from _named("env", _env(name, before), _env(name, after))
        yield from _named("mount", _mounts(name, before), _mounts(name, after))
        yield from _named("setting", _settings(name, before), _settings(name, after))


def _named(kind: Kind, old: Mapping[str, str], new: Mapping[str, str], *, only_keys: bool = False) -> Iterator[Change]:
    for what in sorted(old.keys() | new.keys()):
        before, after = old.get(what, ""), new.get(what, "")
        if (what in old) != (what in new) or (not only_keys and before != after):
            yield Change(kind=kind, what=what, before=before or _there(what, old), after=after or _there(what, new))


def _there(what: str, group: Mapping[str, str]) -> str:
    return "(empty)" if what in group else ""


def _image(service: Mapping[str, Any]) -> str:
    return str(service.get("image", ""))


def _images(services: Mapping[str, Any]) -> dict[str, str]:
    return {name: _image(body) for name, body in services.items()}


def _env(service: str, body: Mapping[str, Any]) -> dict[str, str]:
    return {f"{service}: {key}": str(value or "") for key, value in (body.get("environment") or {}).items()}


def _mounts(service: str, body: Mapping[str, Any]) -> dict[str, str]:
    """By place in the container: what is there."""
    found = {str(item.get("target", "")): str(item.get("source", "")) for item in body.get("volumes") or []}
    for section in ("configs", "secrets"):
        for item in body.get(section) or []:
            found[str(item.get("target") or item["source"])] = str(item["source"])
    return {f"{service}: {target}": source for target, source in found.items()}


def _settings(service: str, body: Mapping[str, Any]) -> dict[str, str]:
    """Everything else, key by key; labels are swarm's and Traefik's, and told by the route."""
    deploy = {f"deploy.{key}": value for key, value in (body.get("deploy") or {}).items() if key != "labels"}
    rest = {key: value for key, value in body.items() if key not in _OF_THE_STACK}
    return {f"{service}: {key}": json.dumps(value, sort_keys=True) for key, value in {**rest, **deploy}.items()}


def _real(document: Document, section: str) -> dict[str, str]:
    return {key: real_name(key, body or {}) for key, body in (document.get(section) or {}).items()}


def _contents(document: Document) -> dict[str, str]:
    """By key: the name in the engine and how long it is."""
    found = {}
    for key, name in _real(document, "configs").items():
        content = _bytes(document["configs"][key])
        found[key] = name if content is None else f"{name}, {len(content)} bytes"
    return found


def _bytes(body: Mapping[str, Any] | None) -> bytes | None:
    file = (body or {}).get("file")
    return Path(file).read_bytes() if file else None
