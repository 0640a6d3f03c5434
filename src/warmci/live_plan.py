"""Pure: what the reconciler has to do about the live Keycloak, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from warmci.recipe import version_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from warmci.recipe import Release

_NEEDS_A_PERSON = re.compile(
    r"\b(manual(ly)?|by hand|migrat(e|ed|es|ing|ion|ions)|breaking|pg_dump|dump and restore|action required"
    r"|before (you )?(upgrad|deploy)\w*)\b",
    re.IGNORECASE,
)
_UPSTREAM_MAJOR = re.compile(r"\D*(\d+)")
_EXCERPT = 120


class Action(StrEnum):
    UNCHANGED = "unchanged"
    """It runs as wanted."""
    START = "start"
    """It is wanted as it was, but does not serve."""
    DEPLOY = "deploy"
    """There is none yet."""
    UPGRADE = "upgrade"
    HOLD = "hold"
    """A newer one is there, but a person must look first; the current one stays."""


@dataclass(frozen=True)
class Known:
    """The live Keycloak as recorded, and whether it serves."""

    version: str
    commit: str
    serves: bool
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    action: Action
    target: Release | None
    reason: str = ""
    start: bool = False
    """Whether the current one has to be started all the same (hold)."""

    def describe(self) -> str:
        target = f" {self.target.version}" if self.target else ""
        return f"{self.action}{target}" + (f": {self.reason}" if self.reason else "")


def plan(
    known: Known | None, wanted: Release, between: Sequence[Release], notes: Mapping[str, str], accept: str
) -> Plan:
    """What leads from `known` to the wanted release.

    between: the releases after the known one up to the wanted one; notes: their release notes by version; accept: the
    version that an operator has looked at and lets through.
    """
    if known is None:
        return Plan(Action.DEPLOY, wanted)
    if known.commit == wanted.commit:
        return Plan(Action.UNCHANGED if known.serves else Action.START, wanted)
    reason = "" if wanted.version == accept else _why_hold(known, wanted, between, notes)
    if reason:
        return Plan(Action.HOLD, wanted, reason, start=not known.serves)
    return Plan(Action.UPGRADE, wanted, f"from {known.version}")


def _why_hold(known: Known, wanted: Release, between: Sequence[Release], notes: Mapping[str, str]) -> str:
    if wanted.version in known.failed:
        return f"it was rolled back: {known.failed[wanted.version]}"
    was, now = version_key(known.version), version_key(wanted.version)
    if now < was:
        return f"it is older than {known.version}, whose data it may not understand"
    if now[0] != was[0]:
        return f"major version of the recipe: {known.version} → {wanted.version}"
    if _upstream_major(now[3]) != _upstream_major(was[3]):
        return f"major version of Keycloak: {known.version} → {wanted.version}"
    for release in between:
        found = next((line for line in notes.get(release.version, "").splitlines() if _NEEDS_A_PERSON.search(line)), "")
        if found:
            return f"release notes of {release.version}: {found.strip()[:_EXCERPT]}"
    return ""


def _upstream_major(version: str) -> str:
    match = _UPSTREAM_MAJOR.match(version)
    return match[1] if match else version
