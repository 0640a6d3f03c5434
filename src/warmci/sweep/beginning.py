"""What a sweep begins with: the recipes that are its own, in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from warmci.base import names
from warmci.recipe.repository import default_head
from warmci.report import history, past
from warmci.report.sweep_record import Sweep, SweepItem, postponed_last
from warmci.sweep import plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from warmci.base.settings import Settings
    from warmci.sweep.shard import Shard


_ASKED_AT_ONCE = 8
"""A forge's answer takes a tenth of a second and more, most of it the way there."""


def begin(settings: Settings, shard: Shard | None) -> Sweep:
    """A new sweep's record: which recipes, in which order."""
    sweep = names.new_id()
    recipes = settings.recipes if shard is None else shard.begin(sweep)
    node = "" if shard is None else shard.node.name
    now, items = datetime.now(UTC), planned(settings, recipes)
    return Sweep(id=sweep, started=now, max_tests=settings.max_tests, items=items, node=node)


def planned(settings: Settings, recipes: Sequence[str]) -> tuple[SweepItem, ...]:
    """These recipes, in the order of their runs, each with its reason."""
    now = datetime.now(UTC)
    known = past.by_recipe(past.read_past(settings.runs_dir, now))
    waited = postponed_last(settings.state_dir)
    candidates = [
        plan.Candidate(history.history_of(recipe, known[recipe]), head, recipe in waited)
        for recipe, head in _heads(settings, recipes)
    ]
    return tuple(SweepItem(recipe=one.recipe, reason=one.reason) for one in plan.order(candidates, now))


def _heads(settings: Settings, recipes: Sequence[str]) -> Iterator[tuple[str, str]]:
    pool = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="head")
    try:
        yield from zip(recipes, pool.map(lambda recipe: default_head(settings, recipe), recipes), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt waits for the questions under way alone
