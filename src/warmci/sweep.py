"""The nightly sweep: every enrolled recipe cold, a bounded number at once, resumable, honest at the end."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from warmci import alerts, fs, history, live, live_record, metrics, names, prune, sweep_plan, sweep_report
from warmci.canonical import CanonicalStore
from warmci.engine import Engine
from warmci.errors import InterruptedRunError, WarmciError
from warmci.locks import Holder, sweep_lock
from warmci.models import RunResult, Verdict
from warmci.recipe import default_head
from warmci.recipe_config import load_config
from warmci.state import open_state
from warmci.sweep_children import Children
from warmci.sweep_record import Sweep, SweepItem, save_sweep, sweep_dir, unfinished
from warmci.sweep_verdict import judge

if TYPE_CHECKING:
    from warmci.console import Console
    from warmci.process import Completed
    from warmci.settings import Settings

SUBJECT = "sweep"
_LOOK_S = 1.0
_BY_CODE = {1: Verdict.FAIL, 2: Verdict.USAGE, 3: Verdict.INFRA, 70: Verdict.BUG, 75: Verdict.BUSY}


def run_sweep(settings: Settings, console: Console) -> Sweep:
    """Sweep, or go on with the sweep that was stopped. Raises BusyError while another one runs on this host."""
    state = open_state(settings.state_dir)
    holder = Holder.here("sweep", "sweep", "sweep")
    with sweep_lock(state.dir, holder):
        found = unfinished(state.dir, datetime.now(UTC))
        sweep = _Sweep(settings, console, found or _begin(settings))
        if found is not None:
            sweep.resume()
        return sweep.run()


def _begin(settings: Settings) -> Sweep:
    results = history.read_results(settings.runs_dir)
    candidates = [
        sweep_plan.Candidate(history.history_of(recipe, results), default_head(settings, recipe))
        for recipe in settings.recipes
    ]
    now = datetime.now(UTC)
    items = tuple(
        SweepItem(recipe=planned.recipe, reason=planned.reason) for planned in sweep_plan.order(candidates, now)
    )
    return Sweep(id=names.new_id(), started=now, max_tests=settings.max_tests, items=items)


class _Sweep:
    def __init__(self, settings: Settings, console: Console, sweep: Sweep) -> None:
        self._settings, self._console = settings, console
        self._sweep = sweep
        self._children = Children(settings)

    def resume(self) -> None:
        done = sum(item.state == "done" for item in self._sweep.items)
        self._console.say(f"going on with sweep {self._sweep.id}: {done} of {len(self._sweep.items)} recipes are done")
        items = tuple(
            item if item.state == "done" else item.model_copy(update={"state": "planned"}) for item in self._sweep.items
        )
        self._update(items=items, resumed=self._sweep.resumed + 1)

    def run(self) -> Sweep:
        save_sweep(self._settings.state_dir, self._sweep)
        for item in self._sweep.items:
            self._console.say(f"  {item.recipe:<24} {item.state:<8} {item.reason}", style="dim")
        self._keycloak()
        try:
            self._recipes()
            self._drill()
            self._prune()
        except BaseException:
            self._children.stop()
            raise
        self._finish()
        return self._sweep

    def _update(self, **facts: object) -> None:
        self._sweep = self._sweep.model_copy(update=facts)
        save_sweep(self._settings.state_dir, self._sweep)

    # --- the parts

    def _keycloak(self) -> None:
        """Live-warm infrastructure first: the runs of this night are to use what is newest."""
        needed = any("keycloak" in load_config(self._settings.recipes_dir, r).needs for r in self._settings.recipes)
        if not needed and live_record.load_live(self._settings) is None:
            return
        try:
            done = live.reconcile(self._settings, self._console)
        except InterruptedRunError:
            raise
        except WarmciError as error:
            self._console.error(f"Keycloak: {error.message}", error.hint)
            self._update(keycloak=error.message, keycloak_ok=False)
        else:
            said = f"{done.action} {done.version}" + (f": {done.reason}" if done.reason else "")
            self._update(keycloak=said, keycloak_ok=True)

    def _recipes(self) -> None:
        """At most max_tests at once; what the time budget does not reach is postponed, first of all tomorrow."""
        end = time.monotonic() + self._settings.sweep_budget_s
        waiting = [item for item in self._sweep.items if item.state == "planned"]
        under_way: dict[Future[SweepItem], SweepItem] = {}
        with ThreadPoolExecutor(self._settings.max_tests) as pool, self._console.working("sweep"):
            try:
                while waiting or under_way:
                    while waiting and len(under_way) < self._settings.max_tests and time.monotonic() < end:
                        item = waiting.pop(0).model_copy(update={"state": "running"})
                        under_way[pool.submit(self._one, item)] = item
                        self._update(items=self._sweep.with_item(item).items)
                    if time.monotonic() >= end:
                        for item in waiting:
                            late = item.model_copy(update={"state": "postponed", "summary": "the time budget was over"})
                            self._update(items=self._sweep.with_item(late).items)
                        waiting.clear()
                    for future in wait(under_way, timeout=_LOOK_S, return_when=FIRST_COMPLETED).done:
                        self._ended(future.result(), under_way.pop(future))
                    self._say_progress()
            except BaseException:
                self._children.stop()  # and the pool waits for their ends
                raise

    def _one(self, item: SweepItem) -> SweepItem:
        began = time.monotonic()
        try:
            done = self._children.call(item.recipe, "warmci.run_recipe_ci", item.recipe, "--json")
        except (WarmciError, OSError) as error:
            facts: dict[str, object] = {"verdict": Verdict.INFRA, "exit_code": 3, "summary": str(error)}
        else:
            facts = self._read(item.recipe, done)
        seconds = round(time.monotonic() - began, 1)
        return item.model_copy(update={"state": "done", "seconds": seconds, **facts})

    def _read(self, title: str, done: Completed) -> dict[str, object]:
        path = sweep_dir(self._settings.state_dir, self._sweep.id) / f"{title}.log"
        fs.write_atomic(path, done.stderr)
        try:
            result = RunResult.model_validate_json(done.stdout)
        except ValidationError:
            verdict = _BY_CODE.get(done.returncode, Verdict.BUG)
            return {"verdict": verdict, "exit_code": done.returncode, "summary": f"no result; see {path}"}
        return {
            "run": result.run,
            "verdict": result.verdict,
            "exit_code": result.exit_code,
            "summary": result.summary,
            "promotion": result.promotion,
        }

    def _ended(self, item: SweepItem, _before: SweepItem) -> None:
        self._update(items=self._sweep.with_item(item).items)
        self._console.end_stage(
            item.recipe,
            "ok" if item.verdict is Verdict.PASS else "failed",
            item.seconds,
            item.summary or self._moved(item),
        )

    def _moved(self, item: SweepItem) -> str:
        promotion = item.promotion
        return f"{promotion.action} {promotion.outcome} {promotion.reason}".strip() if promotion else ""

    def _say_progress(self) -> None:
        done = sum(item.state in ("done", "postponed") for item in self._sweep.items)
        running = ", ".join(self._children.titles) or "nothing"
        self._console.progress(f"sweep: {done} of {len(self._sweep.items)} recipes, running: {running}")

    def _drill(self) -> None:
        """One canonical a night proves that it can be booted from its snapshot: the one that did so longest ago."""
        store = CanonicalStore(self._settings.state_dir)
        results = history.read_results(self._settings.runs_dir)
        able = []
        for recipe in self._settings.recipes:
            canonical = store.load(recipe)
            if canonical is not None and canonical.state == "good":
                last = history.history_of(recipe, results).last_drill
                able.append((last or datetime.min.replace(tzinfo=UTC), recipe))
        if not able:
            return
        recipe = min(able)[1]
        item = SweepItem(recipe=recipe, reason="drilled longest ago", state="running")
        began = time.monotonic()
        with self._console.working(f"rollback drill of {recipe}"):
            done = self._children.call(f"drill {recipe}", "warmci.cli", "canonical", "drill", recipe, "--json")
        seconds = round(time.monotonic() - began, 1)
        facts = {"state": "done", "seconds": seconds, **self._read(f"drill-{recipe}", done)}
        item = item.model_copy(update=facts)
        self._update(drill=item)
        outcome = "ok" if item.verdict is Verdict.PASS else "failed"
        self._console.end_stage(f"rollback drill of {recipe}", outcome, seconds, item.summary)

    # --- the end

    def _finish(self) -> None:
        self._update(stale=self._stale(), finished=datetime.now(UTC))
        code, verdict = judge(self._sweep)
        self._update(exit_code=code, verdict=verdict)
        report = sweep_dir(self._settings.state_dir, self._sweep.id) / "report.html"
        fs.write_atomic(report, sweep_report.as_html(self._sweep))
        if code:
            alerts.alert(self._settings, self._console, SUBJECT, f"the sweep is not green: {verdict}", f"see {report}")
        else:
            alerts.clear(self._settings, SUBJECT)
        metrics.write(self._settings, lambda text: self._console.say(text, style="yellow"))

    def _prune(self) -> None:
        """As `warmci prune` does; what cannot be pruned tonight is no reason for a red sweep: runs look at the disk."""
        store = CanonicalStore(self._settings.state_dir)
        try:
            engine = Engine(self._settings.docker_host)
            done = prune.execute(prune.plan_now(self._settings, store, engine), self._settings, store, engine)
        except InterruptedRunError:
            raise
        except (WarmciError, OSError) as error:
            self._console.say(f"warning: nothing is pruned: {error}", style="yellow")
            return
        self._update(pruned=tuple(item.name for item in done.removed))
        for name, reason in done.stayed.items():
            self._console.say(f"still there: {name}: {reason}", style="yellow")

    def _stale(self) -> tuple[str, ...]:
        limit = datetime.now(UTC) - timedelta(days=self._settings.sweep_stale_days)
        results = history.read_results(self._settings.runs_dir)
        found = []
        for recipe in self._settings.recipes:
            promoted = history.history_of(recipe, results).last_promoted
            if promoted is None or promoted < limit:
                found.append(recipe)
        return tuple(found)
