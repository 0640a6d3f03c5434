"""The nightly sweep: every enrolled recipe cold, a bounded number at once, resumable, honest at the end."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from warmci.base import fs, interrupts
from warmci.base.errors import InfraError, InterruptedRunError, WarmciError
from warmci.base.locks import Holder, host_lock
from warmci.base.state import open_state
from warmci.live import ingress, keycloak, keycloak_json
from warmci.live.ingress_json import load_ingress
from warmci.operate import everywhere, metrics, prune, site
from warmci.operate.recover import recover
from warmci.recipe.config import load_config
from warmci.report import alerts, history, past, sweep_html
from warmci.report.sweep_record import Sweep, SweepItem, save_sweep, sweep_dir, unfinished
from warmci.store.canonical import CanonicalStore
from warmci.swarm.engine import Engine
from warmci.sweep.beginning import begin, planned
from warmci.sweep.children import Children
from warmci.sweep.runs import TOLD_S, call, run_all, say_end
from warmci.sweep.shard import Shard
from warmci.sweep.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.settings import Settings
    from warmci.report.console import Console

SUBJECT = "sweep"
_LOOK_S = 2.0


def run_sweep(settings: Settings, console: Console, *, sharded: bool = False) -> Sweep:
    """Sweep, or go on with the sweep that was stopped. Raises BusyError while another one runs on this host.

    Whatever goes wrong in one part is said in the end and stops no other part. sharded: only what falls to this node
    of the swarm, and what other nodes leave that die meanwhile; InfraError where this node is no worker.
    """
    state = open_state(settings.state_dir, floor_bytes=0)
    holder = Holder.here("sweep", "sweep", "sweep")
    with host_lock(state.dir, "sweep", holder), interrupts.once():
        found = unfinished(state.dir, datetime.now(UTC))
        shard = Shard(Engine(settings.docker_host), settings.recipes) if sharded else None
        sweep = _Sweep(settings, console, state.instance, found or begin(settings, shard), shard)
        if found is not None:
            sweep.resume()
        return sweep.run()


class _Sweep:
    def __init__(self, settings: Settings, console: Console, instance: str, sweep: Sweep, shard: Shard | None) -> None:
        self._settings, self._console, self._instance = settings, console, instance
        self._sweep, self._shard = sweep, shard
        self._children = Children(settings)
        self._end = time.monotonic() + settings.sweep_budget_s
        """From then on no recipe is started, be it this node's own or one that fell to it."""

    def resume(self) -> None:
        """What is done stays done; what is no longer enrolled is left out."""
        self._console.say(f"going on with sweep {self._sweep.id}")
        kept = [item for item in self._sweep.items if item.recipe in self._settings.recipes]
        if self._shard is not None:
            left = self._shard.resume(self._sweep.id, [item.recipe for item in kept if item.state != "done"])
            kept = [item for item in kept if item.state == "done" or item.recipe in left]
        items = tuple(item if item.state == "done" else item.model_copy(update={"state": "planned"}) for item in kept)
        self._sweep = self._sweep.model_copy(
            update={"items": items, "resumed": self._sweep.resumed + 1, "troubles": ()}
        )

    def run(self) -> Sweep:
        self._part("disk", self._make_room)
        self._save()
        for item in self._sweep.items:
            self._console.say(f"  {item.recipe:<24} {item.state:<8} {item.reason}", style="dim")
        self._part("recovery", self._recover)
        self._part("ingress", self._ingress)
        self._part("Keycloak", self._keycloak)
        try:
            self._run_all()
            self._part("other nodes", self._take_over)
            self._part("drill", self._drill)
        except BaseException:
            self._children.stop()
            self._leave()
            raise
        self._part("prune", self._prune)
        self._finish()
        return self._sweep

    def _run_all(self) -> None:
        left = [item for item in self._sweep.items if item.state == "planned"]
        run_all(self._settings, self._console, self._sweep.id, left, self._children, self._note, self._end)

    def _take_over(self) -> None:
        """Recipes of nodes that die while others of the swarm are still at their share; not beyond the budget."""
        if self._shard is None:
            return
        with self._console.working("other nodes' sweeps"):
            while time.monotonic() < self._end:
                if fallen := self._shard.fallen(self._sweep.id):
                    self._console.say(f"fallen to this node: {', '.join(fallen)}")
                    known = [item for item in self._sweep.items if item.recipe not in fallen]
                    self._update(items=(*known, *planned(self._settings, fallen)))
                    self._run_all()
                elif at_work := self._shard.others_at_work():
                    self._console.progress(f"still at work: {', '.join(at_work)}", gap_s=TOLD_S)
                    time.sleep(_LOOK_S)
                else:
                    return

    def _leave(self) -> None:
        """A stopped sweep lets the others know; one that cannot is taken for stopped after a while."""
        if self._shard is not None:
            with suppress(WarmciError, OSError):
                self._shard.stop()

    def _part(self, name: str, part: Callable[[], None]) -> None:
        """A part that fails is a trouble to be told, and stops no other."""
        try:
            part()
        except InterruptedRunError:
            raise
        except (WarmciError, OSError) as error:
            self._console.say(f"warning: {name}: {error}", style="yellow")
            self._update(troubles=(*self._sweep.troubles, f"{name}: {self._console.redact(str(error))}"))

    def _note(self, item: SweepItem) -> None:
        self._update(items=self._sweep.with_item(item).items)
        if self._shard is not None and item.state == "done":
            self._part("the swarm's notice board", lambda: self._shard_done(item.recipe))

    def _shard_done(self, recipe: str) -> None:
        if self._shard is not None:
            self._shard.done(self._sweep.id, recipe)

    def _update(self, **facts: object) -> None:
        self._sweep = self._sweep.model_copy(update=facts)
        self._save()

    def _save(self) -> None:
        """A full disk costs the resuming, not the sweep."""
        try:
            save_sweep(self._settings.state_dir, self._sweep)
        except (WarmciError, OSError) as error:
            self._console.say(f"warning: the sweep's record: {error}", style="yellow")

    # --- the parts

    def _make_room(self) -> None:
        store, engine = CanonicalStore(self._settings.state_dir), Engine(self._settings.docker_host)
        prune.make_room(self._settings, store, engine, self._console.say)

    def _recover(self) -> None:
        store, engine = CanonicalStore(self._settings.state_dir), Engine(self._settings.docker_host)
        for line in recover(engine, self._settings, self._instance, store, needs_keycloak=False):
            self._console.say(f"recovered: {line}", style="yellow")

    def _ingress(self) -> None:
        """The live Traefik, and its certificate in good time; a host's own is none of ours."""
        if load_ingress(self._settings) is not None:
            done = ingress.reconcile(self._settings, self._console)
            self._console.say(f"ingress: {done.action} {done.version}")

    def _keycloak(self) -> None:
        """Live-warm infrastructure first: the runs of this night are to use what is newest."""
        recipes = [item.recipe for item in self._sweep.items]
        if keycloak_json.load_live(self._settings) is None and not any(map(self._needs_keycloak, recipes)):
            return
        try:
            done = keycloak.reconcile(self._settings, self._console)
        except InterruptedRunError:
            raise
        except WarmciError as error:
            self._console.error(f"Keycloak: {error.message}", error.hint)
            self._update(keycloak=error.message, keycloak_ok=False)
        else:
            said = f"{done.action} {done.version}" + (f": {done.reason}" if done.reason else "")
            self._update(keycloak=said, keycloak_ok=True)

    def _needs_keycloak(self, recipe: str) -> bool:
        with suppress(WarmciError):  # its own run will say what is wrong with its recipe.toml
            return "keycloak" in load_config(self._settings.recipes_dir, recipe).needs
        return False

    def _drill(self) -> None:
        """One canonical a night proves that it can be gone back to: the one that did so longest ago."""
        store, now = CanonicalStore(self._settings.state_dir), datetime.now(UTC)
        known = past.by_recipe(past.read_past(self._settings.runs_dir, now))
        able = []
        for recipe in self._settings.recipes:
            with suppress(WarmciError):  # an unreadable one made its own run red
                canonical = store.load(recipe)
                if canonical is not None and canonical.state == "good":
                    last = history.history_of(recipe, known[recipe]).last_drill
                    able.append((last or datetime.min.replace(tzinfo=UTC), recipe))
        if not able:
            return
        recipe = min(able)[1]
        item = SweepItem(recipe=recipe, reason="drilled longest ago", state="running")
        title = f"drill {recipe}"
        with self._console.working(title):
            arguments = ("warmci.cli.app", "canonical", "drill", recipe, "--json")
            item = call(self._settings, self._sweep.id, item, self._children, title, *arguments)
        self._update(drill=item)
        say_end(self._console, title, item)

    def _prune(self) -> None:
        """As `warmci prune` does; what cannot be pruned tonight is no trouble: runs look at the disk."""
        store, engine = CanonicalStore(self._settings.state_dir), None
        with suppress(InfraError):  # without an engine images are left alone
            engine = Engine(self._settings.docker_host)
        done = prune.execute(prune.plan_now(self._settings, store, engine), self._settings, store, engine)
        self._update(pruned=tuple(item.name for item in done.removed))
        for name, reason in done.stayed.items():
            self._console.say(f"still there: {name}: {reason}", style="yellow")

    # --- the end

    def _finish(self) -> None:
        """The alert before the pages: a full disk must not silence it."""
        self._sweep = self._sweep.model_copy(update={"stale": self._stale()})
        code, verdict = judge(self._sweep)
        facts = {"finished": datetime.now(UTC), "exit_code": code, "verdict": verdict}
        self._sweep = self._sweep.model_copy(update=facts)
        report = sweep_dir(self._settings.state_dir, self._sweep.id) / "report.html"
        with suppress(WarmciError, OSError):
            if code:
                message = f"the sweep is not green: {verdict}"
                alerts.alert(self._settings, self._console, SUBJECT, message, f"see {report}")
            else:
                alerts.clear(self._settings, SUBJECT, self._console)
        self._save()
        with suppress(OSError):
            fs.write_atomic(report, sweep_html.as_html(self._sweep))
        metrics.write(self._settings, lambda text: self._console.say(text, style="yellow"))
        site.rebuild(self._settings, lambda text: self._console.say(text, style="yellow"))
        if self._shard is not None:
            with suppress(WarmciError, OSError):
                everywhere.put_up(self._settings, Engine(self._settings.docker_host), self._shard.node.id)

    def _stale(self) -> tuple[str, ...]:
        now = datetime.now(UTC)
        limit = now - timedelta(days=self._settings.sweep_stale_days)
        known = past.by_recipe(past.read_past(self._settings.runs_dir, now))
        mine = self._settings.recipes if self._shard is None else [item.recipe for item in self._sweep.items]
        promoted = {recipe: history.history_of(recipe, known[recipe]).last_promoted for recipe in mine}
        return tuple(recipe for recipe, last in promoted.items() if last is None or last < limit)
