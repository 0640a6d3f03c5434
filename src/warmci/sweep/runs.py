"""The runs of a sweep: at most max_tests at once, each in a process of its own, within the time budget."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from warmci.base import fs
from warmci.base.errors import WarmciError
from warmci.base.models import EXIT_CODES, RunResult, Verdict
from warmci.report.sweep_record import SweepItem, sweep_dir
from warmci.report.words import promotion_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from warmci.base.process import Completed
    from warmci.base.settings import Settings
    from warmci.report.console import Console
    from warmci.sweep.children import Children

_LOOK_S = 1.0
TOLD_S = 60.0
"""Between two lines of a log that tell how far a sweep is."""
_RETRIED = (Verdict.BUSY, Verdict.INFRA)
_BY_CODE = {code: verdict for verdict, code in EXIT_CODES.items() if code not in (0, 1)}
"""Of a run that left no result. One that passed or failed always does: a bare 1 is a program that did not start."""


def run_all(
    settings: Settings,
    console: Console,
    sweep: str,
    items: Sequence[SweepItem],
    children: Children,
    update: Callable[[SweepItem], None],
    end: float,
) -> None:
    """Run the items in their order, telling `update` of each step.

    end: the moment, by time.monotonic(), from which none is started: the rest is postponed. A run that was busy or hit
    broken infrastructure gets a second chance after all others; until then it is planned, and not told done.
    """
    waiting, under_way, again = list(items), dict[Future[SweepItem], str](), set[str]()
    done = 0
    with ThreadPoolExecutor(settings.max_tests) as pool, console.working("sweep"):
        try:
            while waiting or under_way:
                while waiting and len(under_way) < settings.max_tests and time.monotonic() < end:
                    item = waiting.pop(0).model_copy(update={"state": "running"})
                    under_way[pool.submit(_one, settings, sweep, item, children)] = item.recipe
                    update(item)
                if time.monotonic() >= end:
                    _postpone(waiting, update)
                for future in wait(under_way, timeout=_LOOK_S, return_when=FIRST_COMPLETED).done:
                    item = future.result()
                    del under_way[future]
                    say_end(console, item.recipe, item)
                    if item.verdict in _RETRIED and item.recipe not in again:
                        again.add(item.recipe)
                        item = item.model_copy(update={"state": "planned"})
                        waiting.append(item)
                    else:
                        done += 1
                    update(item)
                running = ", ".join(children.titles) or "nothing"
                console.progress(f"sweep: {done} of {len(items)} recipes, running: {running}", gap_s=TOLD_S)
        except BaseException:
            children.stop()  # and the pool waits for their ends
            raise


def _postpone(waiting: list[SweepItem], update: Callable[[SweepItem], None]) -> None:
    """What was tried once keeps what that said."""
    over = {"state": "postponed", "summary": "the time budget was over"}
    for item in waiting:
        update(item.model_copy(update=over if item.verdict is None else {"state": "done"}))
    waiting.clear()


def _one(settings: Settings, sweep: str, item: SweepItem, children: Children) -> SweepItem:
    return call(settings, sweep, item, children, item.recipe, "warmci.run_recipe_ci", item.recipe, "--json")


def call(
    settings: Settings, sweep: str, item: SweepItem, children: Children, title: str, module: str, *arguments: str
) -> SweepItem:
    """The item as a program of ours ended it; whatever happens, it ends."""
    began = time.monotonic()
    try:
        facts = _read(settings, sweep, title, children.call(title, module, *arguments))
    except (WarmciError, OSError) as error:
        facts = {"verdict": Verdict.INFRA, "exit_code": EXIT_CODES[Verdict.INFRA], "summary": str(error)}
    seconds = round(time.monotonic() - began, 1)
    return item.model_copy(update={"state": "done", "seconds": seconds, **facts})


def _read(settings: Settings, sweep: str, title: str, ended: Completed) -> dict[str, object]:
    path = sweep_dir(settings.state_dir, sweep) / f"{title.replace(' ', '-')}.log"
    with suppress(OSError):  # a full disk loses the log, not the verdict
        fs.write_atomic(path, ended.stderr)
    try:
        result = RunResult.model_validate_json(ended.stdout)
    except ValidationError:
        code = ended.returncode
        said = ended.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        verdict = _BY_CODE.get(code, Verdict.BUG)
        return {"verdict": verdict, "exit_code": EXIT_CODES[verdict], "summary": f"no result (exit {code}): {said[0]}"}
    return {
        "run": result.run,
        "verdict": result.verdict,
        "exit_code": result.exit_code,
        "summary": result.summary,
        "promotion": result.promotion,
    }


def say_end(console: Console, title: str, item: SweepItem) -> None:
    outcome = "ok" if item.verdict is Verdict.PASS else "failed"
    console.end_stage(title, outcome, item.seconds, item.summary or promotion_text(item.promotion))
