"""Pure: in which order a sweep runs the enrolled recipes, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from warmci.report.history import History

_UNKNOWN_MINUTES = 5.0
_NEVER_DAYS = 30.0
_DAY_S = 86400.0


@dataclass(frozen=True)
class Candidate:
    """A recipe, what its runs say, and the commit that its default branch is at now (empty: not known)."""

    history: History
    head: str
    postponed: bool = False
    """Whether the last sweep did not get to it."""


@dataclass(frozen=True)
class Planned:
    recipe: str
    score: float
    reason: str


def order(candidates: Sequence[Candidate], now: datetime) -> list[Planned]:
    """Most news per minute first: long not green, changed since, often red, quick to run.

    What was postponed last time comes before all else. Equal ones by name.
    """
    waited = {candidate.history.recipe for candidate in candidates if candidate.postponed}
    planned = [_weighed(candidate, now) for candidate in candidates]
    return sorted(planned, key=lambda item: (item.recipe not in waited, -item.score, item.recipe))


def _weighed(candidate: Candidate, now: datetime) -> Planned:
    history = candidate.history
    if history.last_green is None:
        age_days, said_age = _NEVER_DAYS, "never green"
    else:
        age_days = max(0.0, (now - history.last_green).total_seconds() / _DAY_S)
        said_age = f"green {age_days:.1f} days ago"
    is_changed = bool(candidate.head) and candidate.head != history.last_green_commit
    minutes = history.minutes or _UNKNOWN_MINUTES
    said_minutes = f"about {history.minutes:.1f} min" if history.minutes else "length not known"
    change = 3.0 if is_changed else 1.0
    score = (age_days + 0.1) * change * (1 + history.failure_rate) / minutes
    said_change = ("changed since" if is_changed else "unchanged") if candidate.head else "head not known"
    said = [said_age, said_change, said_minutes, f"{history.failure_rate:.0%} red lately"]
    if candidate.postponed:
        said.insert(0, "postponed last time")
    return Planned(history.recipe, round(score, 4), ", ".join(said))
