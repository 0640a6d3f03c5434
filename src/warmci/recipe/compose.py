"""Loads a recipe's compose files as `docker stack deploy` would: interpolated, normalised to long forms, merged.

Doing it in process keeps a recipe's variables out of every tool's environment; a contract test compares the
outcome with `docker stack config`.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import yaml

from warmci.base.errors import RecipeFailedError
from warmci.recipe.compose_forms import normalise_service
from warmci.recipe.compose_shape import check_shape
from warmci.recipe.interpolation import expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Document = dict[str, Any]

SECTIONS = ("services", "volumes", "networks", "secrets", "configs")
_APPENDED_BY_KEY = {
    "ports": ("target", "published"),
    "volumes": ("target",),
    "secrets": ("source",),
    "configs": ("source",),
}
_INTEGERS = re.compile(
    r"services\.[^.]+\.(deploy\.replicas|deploy\.(update|rollback)_config\.parallelism|healthcheck\.retries"
    r"|deploy\.restart_policy\.max_attempts|deploy\.placement\.max_replicas_per_node"
    r"|(configs|secrets)\.\d+\.mode|ports\.\d+\.(target|published)|ulimits\..*)"
)
_FLOATS = re.compile(r"services\.[^.]+\.deploy\.(update|rollback)_config\.max_failure_ratio")
_BOOLEANS = re.compile(
    r"(services\.[^.]+\.(healthcheck\.disable|privileged|read_only|stdin_open|tty|init|volumes\.\d+\.read_only"
    r"|volumes\.\d+\.volume\.nocopy))|((volumes|secrets|configs)\.[^.]+\.external)|(networks\.[^.]+\.(external|internal|attachable))"
)
_TRUE, _FALSE = {"1", "t", "true", "y", "yes", "on"}, {"0", "f", "false", "n", "no", "off"}


def load_compose(root: Path, files: Sequence[str], env: Mapping[str, str]) -> Document:
    """The merged document of `files` (relative to root), or RecipeFailedError naming the file at fault."""
    merged: Document = {}
    for name in files:
        path = inside(root, root, name)
        document = _interpolated(_parse(path, name), env, name)
        check_shape(document, name)
        for service, body in (document.get("services") or {}).items():
            document["services"][service] = normalise_service(body, env, root, where=f"{name}: services.{service}")
        for section in ("secrets", "configs"):
            for key, body in (document.get(section) or {}).items():
                if isinstance(body, dict) and "file" in body:
                    body["file"] = str(inside(root, root, str(body["file"]), what=f"{name}: {section}.{key}"))
        merged = _merge(merged, document) if merged else document
    if not merged.get("services"):
        raise RecipeFailedError(f"{', '.join(files)}: no services")
    return merged


FILE_MAX = 4 * 2**20
"""Bytes of a file of the recipe that is read; compose, .env and templates have a few thousand."""


def inside(root: Path, base: Path, name: str, *, what: str = "compose file") -> Path:
    """The real path of a file that a recipe names; it must exist and lie inside the checkout, links followed."""
    if "\0" in name:
        raise RecipeFailedError(f"{what}: a file name holds a NUL byte")
    try:
        real = (base / name).resolve()
        size = real.stat().st_size if real.is_file() else -1
    except (OSError, RuntimeError) as error:  # a loop of links, a name that is too long
        raise RecipeFailedError(f"{what}: {name[:80]} cannot be followed: {error}") from error
    if root.resolve() not in real.parents:
        raise RecipeFailedError(f"{what}: {name} lies outside the recipe", hint="name files of the recipe only")
    if size > FILE_MAX:
        raise RecipeFailedError(f"{what}: {name} has {size} bytes, {FILE_MAX} are read at most")
    if size < 0:
        raise RecipeFailedError(f"{what}: {name} does not exist", hint="see COMPOSE_FILE in .env.sample")
    return real


def _parse(path: Path, name: str) -> Document:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise RecipeFailedError(f"{name}:{line}: {error.problem}", hint="the file is not valid YAML") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RecipeFailedError(f"{name}: not YAML in UTF-8: {type(error).__name__}") from error
    if not isinstance(document, dict):
        raise RecipeFailedError(f"{name}: not a mapping of services", hint="a compose file starts with `services:`")
    # Anchors make parts of the document shared; the copy lets each part be changed on its own.
    kept = {key: value for key, value in document.items() if key in SECTIONS or key == "version"}
    return {key: _unshared(value) for key, value in kept.items()}


def _unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _interpolated(document: Document, env: Mapping[str, str], name: str) -> Document:
    def walk(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {key: walk(item, f"{path}.{key}" if path else key) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, f"{path}.{index}") for index, item in enumerate(value)]
        if not isinstance(value, str) or "$" not in value:
            return value
        where = f"{name}: {path}"
        return _cast(expand(value, env, where=where), path, where)

    return {key: walk(value, key) if key in SECTIONS else value for key, value in document.items()}


def _cast(text: str, path: str, where: str) -> Any:
    """Docker's CLI casts interpolated values at typed places (docker/cli, cli/compose/loader/interpolate.go)."""
    try:
        if _INTEGERS.fullmatch(path):
            return int(text)
        if _FLOATS.fullmatch(path):
            return float(text)
    except ValueError:
        raise RecipeFailedError(f"{where}: {text!r} is not a number") from None
    if _BOOLEANS.fullmatch(path):
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise RecipeFailedError(f"{where}: {text!r} is neither true nor false")
    return text


def _merge(base: Document, over: Document) -> Document:
    if base.get("version") != over.get("version") and "version" in base and "version" in over:
        raise RecipeFailedError(f"version mismatch between compose files: {base['version']} and {over['version']}")
    merged = copy.deepcopy(base)
    merged.setdefault("version", over.get("version", ""))
    if not merged["version"]:
        del merged["version"]
    for section in SECTIONS:
        for name, body in (over.get(section) or {}).items():
            ours = merged.setdefault(section, {}) or {}
            merged[section] = ours
            if section == "services" and name in ours:
                ours[name] = _merge_value(ours[name], body, "")
            else:
                ours[name] = body if not isinstance(ours.get(name), dict) else _merge_value(ours[name], body or {}, "")
    return merged


def _merge_value(base: Any, over: Any, key: str) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        merged = dict(base)
        for name, value in over.items():
            merged[name] = _merge_value(base[name], value, name) if name in base else value
        return merged
    if isinstance(base, list) and isinstance(over, list) and key not in {"command", "entrypoint", "test"}:
        if key in _APPENDED_BY_KEY:
            fields = _APPENDED_BY_KEY[key]
            keyed = {tuple(str(item.get(field)) for field in fields): item for item in [*base, *over]}
            return list(keyed.values())
        return [*base, *(item for item in over if item not in base)]
    return base if over is None else over


def dump(document: Document) -> str:
    """YAML that `docker stack deploy` reads back as it is: every dollar doubled."""

    def escaped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: escaped(item) for key, item in value.items()}
        if isinstance(value, list):
            return [escaped(item) for item in value]
        return value.replace("$", "$$") if isinstance(value, str) else value

    return yaml.safe_dump(escaped(document), sort_keys=True, default_flow_style=False, width=1000)
