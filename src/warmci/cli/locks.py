"""`warmci locks`: who is at it, and until when."""

from __future__ import annotations

from datetime import UTC, datetime

from warmci.base.text import age
from warmci.cli.common import Json, as_json, read_settings
from warmci.report.console import Console, print_data


def locks(json: Json = False) -> None:
    """Who holds which recipe, slot, sweep or reconcile: run, pull request, phase, since when, and the expected end."""
    from warmci.operate.lock_table import look  # noqa: PLC0415  (--help stays quick)

    loaded, console, now = read_settings(), Console(), datetime.now(UTC)
    found = look(loaded)
    if json:
        print_data(as_json({"locks": [item.model_dump(mode="json") for item in found]}))
        return
    if not found:
        console.say(f"no lock is held; {loaded.max_tests} slots are free")
        return
    rows = []
    for item in found:
        end = f"{item.expected_end:%F %T}" if item.expected_end else "not known"
        late = ", overdue" if item.is_overdue(now) else ""
        held_for = age((now - item.since).total_seconds()) if item.since else ""
        rows.append((item.lock, item.holder, item.recipe, item.pr, item.phase, held_for, end + late, item.run))
    console.table("locks", ("lock", "holder", "recipe", "PR", "phase", "for", "expected end (UTC)", "run"), rows)
