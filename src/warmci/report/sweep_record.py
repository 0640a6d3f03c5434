"""What a sweep has done so far, on disk after each step: what is resumed, shown and reported."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from warmci.base import names
from warmci.base.fs import write_json
from warmci.base.models import Line, Promotion, Record, Verdict
from warmci.base.state import disk

if TYPE_CHECKING:
    from pathlib import Path

RESUME_WITHIN = timedelta(hours=20)
"""An unfinished sweep that is older is last night's: a new one begins."""


class SweepItem(Record):
    """One recipe of a sweep."""

    recipe: Line
    reason: Line
    """Why it stands where it does in the order."""
    state: Literal["planned", "running", "done", "postponed"] = "planned"
    run: Line = ""
    verdict: Verdict | None = None
    exit_code: int | None = None
    seconds: float = 0.0
    summary: Line = ""
    promotion: Promotion | None = None


class Sweep(Record):
    """STATE/.sweeps/ID/sweep.json."""

    schema_version: Literal[1] = 1
    id: Line
    started: datetime
    finished: datetime | None = None
    max_tests: int
    items: tuple[SweepItem, ...]
    node: Line = ""
    """Of the swarm, where several share the night; empty where this host has all."""
    keycloak: Line = ""
    keycloak_ok: bool = True
    drill: SweepItem | None = None
    pruned: tuple[Line, ...] = ()
    stale: tuple[Line, ...] = ()
    """Enrolled recipes that no green run has promoted, or found promoted, for too long."""
    troubles: tuple[Line, ...] = ()
    """Parts of the sweep itself that could not be done."""
    exit_code: int | None = None
    verdict: Line = ""
    resumed: int = 0

    def with_item(self, item: SweepItem) -> Sweep:
        items = tuple(item if known.recipe == item.recipe else known for known in self.items)
        return self.model_copy(update={"items": items})


def sweep_dir(state_dir: Path, sweep: str) -> Path:
    return state_dir / ".sweeps" / names.record_id(sweep)


def save_sweep(state_dir: Path, sweep: Sweep) -> None:
    path = sweep_dir(state_dir, sweep.id)
    with disk(f"sweep {sweep.id}"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(path / "sweep.json", sweep.model_dump(mode="json"))


def load_sweeps(state_dir: Path) -> list[Sweep]:
    """Oldest first; one that cannot be read, a torn or a newer one, is left out: a sweep must not hang on it."""
    found = []
    for path in sorted((state_dir / ".sweeps").glob("[0-9]*/sweep.json")):
        with suppress(OSError, ValidationError):
            found.append(Sweep.model_validate_json(path.read_bytes()))
    return found


def unfinished(state_dir: Path, now: datetime) -> Sweep | None:
    """The newest sweep, if it was stopped before its end and that not too long ago."""
    known = load_sweeps(state_dir)
    past = [sweep for sweep in known if sweep.started <= now]  # a clock that was wrong may have left one of tomorrow
    newest = past[-1] if past else None
    return newest if newest and newest.finished is None and now - newest.started < RESUME_WITHIN else None


def postponed_last(state_dir: Path) -> set[str]:
    """Recipes that the last finished sweep did not get to."""
    finished = [sweep for sweep in load_sweeps(state_dir) if sweep.finished is not None]
    return {item.recipe for item in finished[-1].items if item.state == "postponed"} if finished else set()
