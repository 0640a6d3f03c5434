"""Pure: what a reconciler has to do about live-warm infrastructure, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from warmci.recipe.repository import version_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from warmci.recipe.repository import Release

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
    """Newer ones are there, but a person must look first; the current one stays."""


@dataclass(frozen=True)
class Known:
    """The live one as recorded, and whether it serves."""

    version: str
    commit: str
    serves: bool
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    action: Action
    target: Release | None
    """What is deployed or upgraded to."""
    held: Release | None = None
    """The newest release, where a person must look first."""
    because: str = ""
    """Why it is held."""
    start: bool = False
    """Whether the current one has to be started all the same."""


def plan(known: Known | None, releases: Sequence[Release], notes: Mapping[str, str], accept: str) -> Plan:
    """The way to the newest release that needs no person.

    releases: those that may be wanted, oldest first, at least one; notes: their release notes by version; accept: the
    version that an operator has looked at and lets through.
    """
    newest = releases[-1]
    if known is None:
        return Plan(Action.DEPLOY, newest)
    if known.commit == newest.commit:
        return Plan(Action.UNCHANGED if known.serves else Action.START, newest)
    held, because = None, ""
    for wanted in reversed(releases):
        if wanted.commit == known.commit:
            break  # what is left is older
        reason = "" if wanted.version == accept else _why_hold(known, wanted, releases, notes)
        if not reason:
            return Plan(Action.UPGRADE, wanted, held, because)
        if held is None:
            held, because = wanted, reason
    return Plan(Action.HOLD, None, held, because, start=not known.serves)


def _why_hold(known: Known, wanted: Release, releases: Sequence[Release], notes: Mapping[str, str]) -> str:
    if wanted.version in known.failed:
        return f"it was rolled back: {known.failed[wanted.version]}"
    was, now = version_key(known.version), version_key(wanted.version)
    if now < was:
        return f"it is older than {known.version}, whose data it may not understand"
    if now[0] != was[0]:
        return f"major version of the recipe: {known.version} → {wanted.version}"
    if _upstream_major(wanted.version) != _upstream_major(known.version):
        return f"major version of the software: {known.version} → {wanted.version}"
    for release in releases:
        if was < version_key(release.version) <= now:
            lines = notes.get(release.version, "").splitlines()
            found = next((line for line in lines if _NEEDS_A_PERSON.search(line)), "")
            if found:
                return f"release notes of {release.version}: {found.strip()[:_EXCERPT]}"
    return ""


def _upstream_major(version: str) -> str:
    upstream = version.partition("+")[2]
    match = _UPSTREAM_MAJOR.match(upstream)
    return match[1] if match else upstream
