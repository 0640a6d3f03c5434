"""What a recipe asks for and what Swarm sets: the seconds of a deployment, the length of names, ports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from warmci.base.errors import RecipeFailedError, UsageError
from warmci.recipe.trust_gate import real_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECONDS = re.compile(r"[0-9]{1,9}")
_SERVICE_MAX = 63
_OBJECT_MAX = 64
"""Characters of a service's, and of a secret's or config's name; measured on engine 20.10."""


def asked_seconds(document: Mapping[str, Any], stack: str, env: Mapping[str, str]) -> tuple[float, list[str]]:
    """The longest patience that `TIMEOUT` in .env or a label `coop-cloud.STACK.timeout` asks for; 0 for none.

    Second, what was asked and is no number of seconds.
    """
    asked = {"TIMEOUT": env.get("TIMEOUT", "")}
    for name, service in document["services"].items():
        label = ((service.get("deploy") or {}).get("labels") or {}).get(f"coop-cloud.{stack}.timeout")
        asked[f"the label timeout of service {name}"] = str(label or "")
    strange = {where: text for where, text in asked.items() if text and not _is_time(text)}
    wrong = [f"{where} is no number of seconds: {text!a}" for where, text in strange.items()]
    return max(float(text) if _is_time(text) else 0.0 for text in asked.values()), wrong


def _is_time(text: str) -> bool:
    return bool(_SECONDS.fullmatch(text))


def require_short_names(document: Mapping[str, Any], stack: str) -> None:
    """Raise UsageError for a name that is too long for Swarm, which would say so in the midst of the deployment."""
    for what, name, most in _names(document, stack):
        if len(name) > most:
            raise UsageError(
                f"the {what}'s name {name} has {len(name)} characters, Swarm allows {most}",
                hint=f"shorten it by {len(name) - most}; at a canonical's domain a shorter base_domain helps, too",
            )


def require_distinct_ports(document: Mapping[str, Any]) -> None:
    """Raise RecipeFailedError for a port that two services want: Swarm gives it to one. Ours are never published."""
    taken: dict[tuple[str, str], str] = {}
    for name, service in document["services"].items():
        for entry in service.get("ports") or []:
            wanted = str(entry.get("published") or ""), str(entry.get("protocol") or "tcp")
            if not wanted[0] or entry.get("mode") == "host":
                continue  # of each node's own; placement may keep them apart
            if wanted in taken:
                raise RecipeFailedError(
                    f"port {'/'.join(wanted)} is published by {taken[wanted]} and by {name}: Swarm gives it to one",
                    hint="publish it once, or each in mode: host on nodes of their own",
                )
            taken[wanted] = name


def too_long_elsewhere(document: Mapping[str, Any], stack: str, home: str) -> list[str]:
    """A sentence where a name that fits behind this stack's does not fit behind home's: it can't be promoted."""
    named = [(f"{home}{name.removeprefix(stack)}", most) for _, name, most in _names(document, stack)]
    return [
        f"at the canonical's domain the name {name} has {len(name)} characters, Swarm allows {most}: "
        f"a run of the default branch ends there"
        for name, most in named
        if len(name) > most and name.startswith(f"{home}_")
    ][:1]


def _names(document: Mapping[str, Any], stack: str) -> Iterator[tuple[str, str, int]]:
    for name in document["services"]:
        yield "service", f"{stack}_{name}", _SERVICE_MAX
    for section in ("secrets", "configs"):
        for name, item in (document.get(section) or {}).items():
            body = item or {}
            named = body.get("external") or body.get("name")
            yield section[:-1], real_name(name, body) if named else f"{stack}_{name}", _OBJECT_MAX
