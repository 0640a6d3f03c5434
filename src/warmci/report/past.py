"""What each result says in few words: read from the results once, and from an index while they stay as they are."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from warmci.base.fs import write_atomic
from warmci.base.models import Mode, RunResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

INDEX = ".index.json"
"""In .runs. No second truth: it may be thrown away, and a line counts only for the very file that it was read from."""
WRITE_FROM = 30
"""So many results that were not in the index are worth writing it anew."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is counted and listed of a run; all else is in its result.json."""

    run: str
    recipe: str
    ref: str
    pr: str
    requested: Mode
    ran: Mode | None
    trusted: bool
    head_commit: str
    head_version: str
    verdict: Verdict
    exit_code: int
    started: datetime
    seconds: float
    staged_s: float
    """In its stages: its waiting for locks left out."""
    promotion: str
    """Its outcome; empty where nothing was to be promoted."""
    promotion_reason: str
    pull: str
    """The pull request's page."""

    @classmethod
    def of(cls, result: RunResult) -> Past:
        same = {field.name: getattr(result, field.name) for field in fields(cls) if field.name not in _MADE}
        return cls(
            **same,
            staged_s=sum(stage.seconds for stage in result.stages),
            promotion=result.promotion.outcome if result.promotion else "",
            promotion_reason=result.promotion.reason if result.promotion else "",
            pull=result.links.get("pull request", ""),
        )

    @classmethod
    def _from_line(cls, values: list[Any]) -> Past:
        known = dict(zip(_FIELDS, values, strict=True))
        known["requested"], known["ran"] = Mode(known["requested"]), Mode(known["ran"]) if known["ran"] else None
        known["verdict"], known["started"] = Verdict(known["verdict"]), datetime.fromisoformat(known["started"])
        return cls(**known)


_MADE = ("staged_s", "promotion", "promotion_reason", "pull")
_FIELDS = [field.name for field in fields(Past)]


def read_past(runs_dir: Path, until: datetime | None = None) -> list[Past]:
    """All readable results, oldest first; a run that has none yet, or one of another version, is left out.

    So is a mistake in what was asked for, a misspelt name perhaps: it tells nothing of a recipe.

    until: leave out those of a clock that ran ahead; a run of next week would keep a recipe green till then.
    """
    index = _read_index(runs_dir)
    kept, found, anew = {}, [], 0
    for run in _runs(runs_dir):
        try:
            of_file = _of_file(os.stat(f"{runs_dir}/{run}/result.json"))  # noqa: PTH116  (thousands)
        except OSError:
            continue
        line = index.get(run)
        past = _known(line, of_file)
        if past is None:
            if (past := _read(runs_dir, run)) is None:
                continue
            line, anew = [of_file, astuple(past)], anew + 1
        kept[run] = line
        if past.verdict is not Verdict.USAGE and (until is None or past.started <= until):
            found.append(past)
    if anew >= WRITE_FROM:
        with suppress(OSError):  # a disk that takes no more costs time, and nothing else
            write_atomic(runs_dir / INDEX, json.dumps({"fields": _FIELDS, "runs": kept}, default=datetime.isoformat))
    return found


def newest(runs_dir: Path) -> Iterator[Past]:
    """The same, newest first, each read when it is asked for."""
    for run in reversed(_runs(runs_dir)):
        past = _read(runs_dir, run)
        if past is not None and past.verdict is not Verdict.USAGE:
            yield past


def by_recipe(pasts: Iterable[Past]) -> dict[str, list[Past]]:
    found: dict[str, list[Past]] = defaultdict(list)
    for past in pasts:
        found[past.recipe].append(past)
    return found


def _runs(runs_dir: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(runs_dir) if name[0].isdecimal())  # noqa: PTH208  (thousands)
    except OSError:
        return []


def _read(runs_dir: Path, run: str) -> Past | None:
    try:
        return Past.of(RunResult.model_validate_json((runs_dir / run / "result.json").read_bytes()))
    except (OSError, ValidationError):
        return None


def _of_file(found: os.stat_result) -> list[int]:
    """A result is replaced by a rename, never changed: another one has another inode."""
    return [found.st_ino, found.st_mtime_ns, found.st_size]


def _known(line: Any, of_file: list[int]) -> Past | None:
    if not isinstance(line, list) or line[:1] != [of_file]:
        return None
    try:
        return Past._from_line(line[1])  # noqa: SLF001  (of this file)
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def _read_index(runs_dir: Path) -> dict[str, Any]:
    """Empty where there is none that today's code wrote."""
    try:
        index = json.loads((runs_dir / INDEX).read_bytes())
        return dict(index["runs"]) if index["fields"] == _FIELDS else {}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
