"""Who holds which lock, and when he should be done by the length of earlier runs. Only looks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from warmci.base.locks import held
from warmci.base.models import Record
from warmci.report.history import expected_s
from warmci.report.past import read_past

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmci.base.locks import Holder
    from warmci.base.settings import Settings
    from warmci.report.past import Past


class HeldLock(Record):
    """One line of `warmci locks`."""

    lock: str
    """app-RECIPE, slot-N of max_tests, sweep or reconcile."""
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
    found = held(settings.state_dir)
    results = read_past(settings.runs_dir) if found else []
    return [_held_lock(name, holder, results) for name, holder in found.items()]


def _held_lock(name: str, holder: Holder | None, results: Sequence[Past]) -> HeldLock:
    if holder is None:
        return HeldLock(lock=name, holder="someone who has not said who")
    length = expected_s(results, holder.recipe, holder.command.removeprefix("run "))
    ended = None if length is None else holder.since + timedelta(seconds=round(length, 1))
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
        expected_end=holder.until or ended,
    )
