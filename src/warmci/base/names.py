"""Names that become paths, URLs or engine objects: validated here before they do."""

from __future__ import annotations

import re
import secrets
import zlib
from datetime import UTC, datetime

from warmci.base.errors import UsageError

_RECIPE = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9-])?")
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_REALM = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_REF = re.compile(
    r"(?!-)(?!.*(?:@\{|\.\.|//|/\.|\.lock(?:/|$)))[^\x00-\x20\x7f~^:?*\[\\./][^\x00-\x20\x7f~^:?*\[\\]*(?<![./])",
    re.DOTALL,
)
_REF_MAX = 200
_PR = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
STACK_NAME_MAX = 45
"""abra cuts stack names there (its source, as recalled; swarm's own limit is 63 for a service name)."""


def shown(value: str) -> str:
    """What a user typed, fit for a message."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:40]}… ({len(value)} characters)"


def _checked(kind: str, pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value) or ".." in value:
        raise UsageError(f"not a {kind} name: {shown(value)}", hint=f"it matches {pattern.pattern}")
    return value


def recipe_name(value: str) -> str:
    return _checked("recipe", _RECIPE, value)


def volume_name(value: str) -> str:
    return _checked("volume", _VOLUME, value)


def realm_name(value: str) -> str:
    """Host-label safe: Keycloak itself accepts names that it can then neither address nor delete."""
    if value == "master":
        raise UsageError("the realm master is Keycloak's own and never touched")
    return _checked("realm", _REALM, value)


def pull_request(value: str) -> str:
    """The forge's number of a pull request, or a word of the caller's; it becomes part of a realm's name."""
    return value and _checked("pull request", _PR, value)


def git_ref(value: str) -> str:
    """A branch, tag or commit: what `git check-ref-format` allows, and never what git reads as an option or a range."""
    if not _REF.fullmatch(value) or not value.isprintable() or len(value) > _REF_MAX:
        raise UsageError(f"not a ref name: {shown(value)}", hint="git check-ref-format --branch NAME says what is one")
    return value


def record_id(value: str) -> str:
    """The id of a run or a snapshot."""
    if not _ID.fullmatch(value):
        what = f"not the id of a run or a snapshot: {shown(value)}"
        raise UsageError(what, hint="as 20261231T235959Z-0a1b2c; warmci status and warmci snapshot list say them")
    return value


def new_id() -> str:
    """UTC time and randomness: sortable, never reused."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def stack_name(domain: str) -> str:
    """The domain, dots as underscores; a long one ends in a checksum, so that two never get the same."""
    name = domain.replace(".", "_")
    if len(name) <= STACK_NAME_MAX:
        return name
    return f"{name[: STACK_NAME_MAX - 9]}_{zlib.crc32(domain.encode()):08x}"


def domain_name(value: str) -> str:
    return _checked("domain", _DOMAIN, value)


def cold_domain(recipe: str, base_domain: str) -> str:
    return f"{recipe[:4].replace('.', '-').rstrip('-')}-{secrets.token_hex(3)}.{base_domain}"


def cold_stack(domain: str) -> str:
    """Short, as nothing of a cold run is kept: a recipe's own long names must fit behind it."""
    return domain.partition(".")[0]


def canonical_domain(recipe: str, base_domain: str) -> str:
    """Where a canonical's data is born and returns to. `warm-keycloak` is the live provider's own."""
    prefix = "canon" if recipe == "keycloak" else "warm"
    return f"{prefix}-{recipe}.{base_domain}"


def live_domain(base_domain: str) -> str:
    return f"warm-keycloak.{base_domain}"


def ingress_domain(base_domain: str) -> str:
    """The live-warm Traefik's own name; no recipe's canonical can have it."""
    return f"ingress.{base_domain}"


def preferred_port(domain: str, ports: range) -> int:
    """The same domain asks for the same port each time, so URLs stored in an app's data stay right."""
    return ports[zlib.crc32(domain.encode()) % len(ports)]
