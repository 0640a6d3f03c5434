"""Every point of a scenario, one after the other, each in a fresh copy of its world and each judged."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import invariants
from isolation import copy_tree
from tracing import Point, fail_at, inject, kill_at, points

from warmci.base.errors import WarmciError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scenarios import Scenario

T = TypeVar("T")
_FIRSTS = 30


@dataclass
class Result:
    exist: int = 0
    """How many points there are; as many cases as that, unless they were sampled."""
    cases: int = 0
    beyond: int = 0
    """Cases past the last point, which must change nothing: proof that no point was missed."""
    wrong: list[str] = field(default_factory=list)
    caught: int = 0
    """Of a variant that is broken on purpose: how many cases show it."""

    def add(self, where: str, found: list[str]) -> None:
        self.cases += 1
        self.wrong += [f"{where}: {line}" for line in found]


def judged(scenario: Scenario, world: Path, was: invariants.Before) -> list[str]:
    """What is wrong now; and if nothing is, what is wrong after the next command has run undisturbed."""
    return invariants.violations(world, was, scenario.allowed(was)) or settled(scenario, world, was)


def settled(scenario: Scenario, world: Path, was: invariants.Before) -> list[str]:
    try:
        scenario.rerun(world)
    except (WarmciError, OSError) as error:
        return [f"I8: the next command failed: {error}"]
    return done(scenario, world, was) + invariants.residue(world)


def done(scenario: Scenario, world: Path, was: invariants.Before) -> list[str]:
    """What is not as the scenario's end should be."""
    if wrong := invariants.violations(world, was, {scenario.goal}):
        return wrong
    stand = scenario.live_goal in invariants.live_state(world, was)
    return [] if stand else [f"live volumes are not {scenario.live_goal}"]


def sampled(places: Sequence[T], most: int | None) -> Sequence[T]:
    """At most so many, evenly spread from the first to the last; the same ones each time."""
    if most is None or len(places) <= most:
        return places
    return [places[round(index * (len(places) - 1) / (most - 1))] for index in range(most)]


def kills(scenario: Scenario, room: Path, *, most: int | None = None) -> Result:
    """Kill -9 at every point: of us alone, of a tool alone, and of both at once."""
    worlds = _Worlds(scenario, room)
    with worlds.fresh() as (world, _):
        places, totals = points(scenario.work, world)
    cases = [(point, together) for point in places for together in ((False, True) if point.in_tool else (False,))]
    result = Result(exist=len(cases))
    for point, together in sampled(cases, most):
        with worlds.fresh() as (world, was):
            kill_at(scenario.work, world, point, together=together)
            where = f"{scenario.name}: {point}{' and us' if together else ''}"
            result.add(where, judged(scenario, world, was))
    chosen = {(point.tool, point.call) for point in places}
    for tool, call in sampled(sorted(chosen), most):
        with worlds.fresh() as (world, _):
            result.beyond += 1
            result.wrong += _beyond(scenario, world, Point(tool, call, totals[tool, call] + 1))
    return result


def _beyond(scenario: Scenario, world: Path, point: Point) -> list[str]:
    outcome = inject(scenario.work, world, point, "signal=SIGKILL")
    if outcome.injected or outcome.code:
        return [f"{scenario.name}: {point} is a point that was not counted"]
    return []


def second_kills(scenario: Scenario, room: Path, *, most: int | None = None) -> Result:
    """A kill, and then one at every point of the recovery from it; first kills that leave the same are taken once.

    Of the first kills an even sample, and of the pairs that they make another.
    """
    worlds = _Worlds(scenario, room)
    with worlds.fresh() as (world, _):
        firsts, _ = points(scenario.work, world)
    pairs: list[tuple[Point, Point]] = []
    seen: set[tuple[str, ...]] = set()
    for first in sampled(firsts, _FIRSTS):
        with worlds.fresh() as (world, _):
            kill_at(scenario.work, world, first, together=first.in_tool)
            shape = _shape(world)
            if shape not in seen:
                seen.add(shape)
                pairs += [(first, second) for second in points(scenario.rerun, world)[0]]
    result = Result(exist=len(pairs))
    for first, second in sampled(pairs, most):
        with worlds.fresh() as (world, was):
            kill_at(scenario.work, world, first, together=first.in_tool)
            kill_at(scenario.rerun, world, second, together=second.in_tool)
            result.add(f"{scenario.name}: {first}, then {second}", judged(scenario, world, was))
    return result


def _shape(world: Path) -> tuple[str, ...]:
    """What lies there, without what is random in a name: two worlds of one shape are recovered the same way."""
    lines = []
    ids: dict[str, str] = {}
    for path in sorted(world.rglob("*")):
        parts = path.relative_to(world).parts
        names = [
            ids.setdefault(part, f"id{len(ids)}") if part[:1].isdigit() or part[0] == "." else part for part in parts
        ]
        size = path.lstat().st_size if path.is_file() else 0
        lines.append(f"{'/'.join(names)} {size}")
    return tuple(lines)


def errors(scenario: Scenario, room: Path, code: str, *, for_good: bool, most: int | None = None) -> Result:
    """The disk refuses a call: success means the goal, failure the old canonical, and both are told."""
    worlds = _Worlds(scenario, room)
    with worlds.fresh() as (world, _):
        places, _ = points(scenario.work, world)
    result = Result(exist=len(places))
    for point in sampled(places, most):
        with worlds.fresh() as (world, was):
            outcome = fail_at(scenario.work, world, point, code, for_good=for_good)
            where = f"{scenario.name}: {point} {code}{' for good' if for_good else ''}"
            found = invariants.violations(world, was, scenario.allowed(was))
            if not found:
                synced = "sync" not in point.call and not scenario.stepwise
                found = invariants.unfaithful(world, was, outcome.code, scenario.goal, synced=synced)
                found += done(scenario, world, was) if outcome.code == 0 and not found else []
            found += outcome.crash.splitlines()[-5:]
            result.add(where, found or settled(scenario, world, was))
    return result


class _Worlds:
    """The world of each case, always in one place: a copy, or made anew where a journal in it holds inodes."""

    def __init__(self, scenario: Scenario, room: Path) -> None:
        self._scenario, self._place, self._template = scenario, room / "case", room / "template"

    @contextmanager
    def fresh(self) -> Iterator[tuple[Path, invariants.Before]]:
        if self._scenario.in_place:
            self._scenario.ready(self._place)
        else:
            if not self._template.exists():
                self._scenario.ready(self._template)
            copy_tree(self._template, self._place)
        yield self._place, invariants.before(self._place)
        shutil.rmtree(self._place)
