"""Who holds which lock, and when he should be done by the length of earlier runs. Only looks."""

from __future__ import annotations

import json
import statistics
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from warmci.locks import held
from warmci.models import Record

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.locks import Holder
    from warmci.settings import Settings

_RECENT = 10
_TELLING = {"pass", "fail", "promotion-failed", "unverified"}


class HeldLock(Record):
    """One line of `warmci locks`."""

    lock: str
    """app-RECIPE, or slot-N of max_tests."""
    holder: str
    run: str = ""
    recipe: str = ""
    pr: str = ""
    phase: str = ""
    pid: int | None = None
    host: str = ""
    since: datetime | None = None
    expected_end: datetime | None = None
    """None when no earlier run of this recipe and mode tells."""

    def is_overdue(self, now: datetime) -> bool:
        return self.expected_end is not None and now > self.expected_end


def look(settings: Settings) -> list[HeldLock]:
    lengths: dict[tuple[str, str], float | None] = {}
    return [_held_lock(name, holder, settings.runs_dir, lengths) for name, holder in held(settings.state_dir).items()]


def _held_lock(
    name: str, holder: Holder | None, runs_dir: Path, lengths: dict[tuple[str, str], float | None]
) -> HeldLock:
    if holder is None:
        return HeldLock(lock=name, holder="someone who has not said who")
    kind = (holder.recipe, holder.command)
    if kind not in lengths:
        lengths[kind] = expected_s(runs_dir, holder.recipe, holder.command.removeprefix("run "))
    length = lengths[kind]
    return HeldLock(
        lock=name,
        holder=holder.command,
        run=holder.run,
        recipe=holder.recipe,
        pr=holder.pr,
        phase=holder.phase,
        pid=holder.pid,
        host=holder.host,
        since=holder.since,
        expected_end=None if length is None else holder.since + timedelta(seconds=round(length, 1)),
    )


def expected_s(runs_dir: Path, recipe: str, mode: str) -> float | None:
    """Median seconds of the last runs of this recipe and mode that came to an end, their waiting left out."""
    found: list[float] = []
    for path in sorted(runs_dir.glob("[0-9]*/result.json"), reverse=True):
        if len(found) == _RECENT:
            break
        try:
            value = json.loads(path.read_bytes())
            ours = (value["recipe"], value["requested"]) == (recipe, mode) and value["verdict"] in _TELLING
            if ours:
                found.append(sum(float(stage["seconds"]) for stage in value["stages"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return statistics.median(found) if found else None


def ago(then: datetime | None) -> str:
    if then is None:
        return ""
    return str(timedelta(seconds=round((datetime.now(UTC) - then).total_seconds())))
