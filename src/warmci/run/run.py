"""One run from request to result: locks, checkout, its pipeline, clean-up, ledger, verdict."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from warmci.base import bug, docker_cli, names
from warmci.base.cause_of import find_cause
from warmci.base.errors import InfraError, InterruptedRunError, WarmciError
from warmci.base.interrupts import once, shielded
from warmci.base.journal import Journal
from warmci.base.locks import Holder, show_phase, slot
from warmci.base.models import EXIT_CODES, Ingress, Mode, RunResult, Verdict
from warmci.base.ports import Ports
from warmci.base.run_locks import run_lock
from warmci.base.state import check_space, open_state
from warmci.live.ingress_use import take as take_ingress
from warmci.operate import ledger, metrics, site
from warmci.operate.prune import make_room
from warmci.operate.recover import recover
from warmci.recipe.config import load_config
from warmci.recipe.render import has_ipvs
from warmci.report import links
from warmci.report.stages import Recorder
from warmci.run import record, seen
from warmci.run.checkout import check_out
from warmci.run.context import Context, Request
from warmci.run.kept_app import Keeping
from warmci.run.pipeline import Pipeline
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore
from warmci.store.recipe_lock import claimed
from warmci.swarm import direct, haproxy, nodes
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.locks import Lock
    from warmci.base.settings import Settings
    from warmci.base.state import State
    from warmci.report.console import Console


class Run:
    """Builds the result while the run goes on; `result` is valid at any moment."""

    def __init__(self, settings: Settings, console: Console, request: Request) -> None:
        self.settings, self.console, self.request = settings, console, request
        self.recorder = Recorder(console)
        self.recorder.kept_s = lambda: self.keeping.seconds
        self.id = names.new_id()
        self.dir = settings.runs_dir / self.id
        self._began = time.monotonic()
        self._facts: dict[str, Any] = {
            "run": self.id,
            "recipe": request.recipe,
            "ref": request.ref,
            "pr": request.pr,
            "requested": request.mode,
            "started": datetime.now(UTC),
            "verdict": Verdict.BUG,
            "repeat": request.repeat,
        }
        self._context: Context | None = None
        self._held: list[Lock] = []
        self._has_app_lock = False
        self.keeping = Keeping(self._result_of_kept, lambda phase, until: show_phase(self._held, phase, until))

    def execute(self) -> RunResult:
        """The whole run. What went wrong is the result's verdict, a bug of ours too; nothing is raised for it."""
        outcome: WarmciError | None = None
        verdict = Verdict.PASS
        try:
            self._guarded()
        except WarmciError as error:
            outcome, verdict = error, record.verdict_of(error)
        except Exception as error:  # noqa: BLE001  (whatever is not ours to expect is a bug, and is said to be one)
            home = record.home(self.settings.state_dir, self.id)
            log = bug.keep(f"run {self.id}: {self.request}", home, self.console.redact)
            outcome, verdict = WarmciError(bug.message(error, log), hint=bug.HINT), Verdict.BUG
        self._facts["kept_until"] = None
        result = self._result(outcome, verdict)
        with suppress(InterruptedRunError), shielded():  # the verdict stands, whoever is impatient now
            if (home := record.home(self.settings.state_dir, self.id)) is not None:
                record.write(home, result, self.console)
        return result

    def _guarded(self) -> None:
        names.recipe_name(self.request.recipe)
        names.pull_request(self.request.pr)
        engine = Engine(self.settings.docker_host)
        engine.require_swarm()
        docker_cli.find(self.settings.docker_cli)  # said at once, not when the first recipe is read
        # The watermark decides, not the floor: a disk that can be pruned is no reason to refuse.
        state = open_state(self.settings.state_dir, floor_bytes=0)
        make_room(self.settings, CanonicalStore(state.dir), engine, lambda text: self.console.say(text, style="yellow"))
        check_space(state.dir, "a run")
        holder = Holder.here(self.id, self.request.recipe, f"run {self.request.mode}", pr=self.request.pr)
        wait_s, began = self.settings.lock_wait_s, time.monotonic()
        with ExitStack() as locks:
            locks.enter_context(run_lock(self.dir))
            locks.callback(self._drop_unused_work)
            (self.dir / "work").mkdir(mode=0o700)
            held = self._held
            if self._needs_app_lock():
                wait = claimed(self.settings, self.request.recipe, holder, wait_s=wait_s, say=self._say_yellow)
                held.append(locks.enter_context(wait))
                self._has_app_lock = True
                held[0].set_phase("waiting for a slot")
            left_s = max(0.0, wait_s - (time.monotonic() - began))
            place = slot(state.dir, self.settings.max_tests, holder, wait_s=left_s, on_wait=self._say_waiting)
            held.append(locks.enter_context(place))
            self.recorder.on_stage = lambda name: show_phase(held, name)
            self._prepared(engine, state)

    def _drop_unused_work(self) -> None:
        """Of a run that ended before it made anything, as one that was interrupted while it waited."""
        with suppress(OSError):  # gone, or not empty and so left to the next command with its journal
            (self.dir / "work").rmdir()

    def _needs_app_lock(self) -> bool:
        """All but a cold run of a pull request or a work tree: any number at once.

        They touch neither the canonical nor its domain. A realm with a fixed name is guarded by this lock, too.
        """
        if self.request.mode is not Mode.COLD or not (self.request.pr or self.request.worktree):
            return True
        sso = load_config(self.settings.recipes_dir, self.request.recipe).sso
        return sso is not None and sso.fixed_realm

    def _say_waiting(self, holder: Holder | None) -> None:
        self._say_yellow(f"waiting for {holder or 'a lock'}")

    def _say_yellow(self, text: str) -> None:
        self.console.say(text, style="yellow")

    def _prepared(self, engine: Engine, state: State) -> None:
        """Locks are held: clean up after dead runs, check out, run the pipeline, undo everything."""
        store = CanonicalStore(state.dir)
        mine = self.request.recipe if self._has_app_lock else ""
        left = recover(
            engine, self.settings, state.instance, store, needs_keycloak=False, mine=mine, say=self._say_yellow
        )
        for line in left:
            self.console.say(f"recovered: {line}", style="yellow")
        if self._has_app_lock:
            self._collect_garbage(store)
        with ExitStack() as outer:
            ports = Ports(self.settings.locks_dir, self.settings.ports)
            outer.callback(ports.release)
            cleanup = ExitStack()
            try:
                context = self._checkout(engine, state, store, ports, cleanup)
                self._context = context
                Pipeline(context, self._facts).run()
            except BaseException:
                # The run's own failure is the news; that of its clean-up is told beside it.
                with suppress(WarmciError):
                    self._clean_up(cleanup, engine, state)
                raise
            self._clean_up(cleanup, engine, state)

    def _collect_garbage(self, store: CanonicalStore) -> None:
        try:
            warnings = store.collect_garbage(self.request.recipe)
        except InfraError as error:
            warnings = [f"{error.message}; nothing is thrown away"]
        for warning in warnings:
            self.console.say(f"warning: {warning}", style="yellow")

    def _checkout(
        self, engine: Engine, state: State, store: CanonicalStore, ports: Ports, cleanup: ExitStack
    ) -> Context:
        request = self.request
        with self.recorder.stage("checkout") as stage:
            found = check_out(self.settings, request, self.dir / "work", self._say_yellow)
            config = load_config(self.settings.recipes_dir, request.recipe)
            stage.detail = found.detail
        self._facts |= {
            "source": found.repository.source,
            "ref": found.ref,
            "head_commit": found.head,
            "head_version": found.repository.version_of(found.head),
            "trusted": found.trusted,
        }
        chosen = take_ingress(self.settings, engine, state.instance, cleanup, self.console)
        self.console.say(f"ingress: {chosen.said}", style="dim")
        mode = self.settings.endpoint_mode
        return Context(
            request=request,
            settings=self.settings,
            engine=engine,
            instance=state.instance,
            run_id=self.id,
            run_dir=self.dir,
            console=self.console,
            recorder=self.recorder,
            journal=Journal(self.dir),
            store=store,
            repository=found.repository,
            config=config,
            head=found.head,
            cleanup=cleanup,
            ports=ports,
            gateway=engine.gateway(),
            node=nodes.home(engine),
            fronted=chosen.kind is Ingress.DIRECT and direct.is_possible(engine) and bool(haproxy.require()),
            dnsrr=mode == "dnsrr" or (mode == "auto" and not has_ipvs()),
            ingress=chosen,
            has_app_lock=self._has_app_lock,
            dependencies={"ingress": chosen.said},
            trusted=found.trusted,
            keeping=self.keeping,
            deviations=list(found.said),
        )

    # --- the end

    def _clean_up(self, cleanup: ExitStack, engine: Engine, state: State) -> None:
        """Undo in reverse order, then prove it. What cannot be undone is left to the next command, with its journal."""
        with shielded(), self.recorder.stage("clean up and ledger") as stage:
            try:
                cleanup.close()
            finally:
                after = ledger.take(engine, self.settings, state.instance, self.id)
                self._facts["ledger_after"] = after
            left = ledger.leftovers(after)
            self._facts["leftovers"] = left
            if left:
                raise InfraError(f"left behind: {', '.join(left)}", hint="warmci recover")
            snapshot.remove(self.dir / "work")
            stage.detail = "nothing left behind"

    def _result_of_kept(self, outcome: WarmciError | None, until: datetime) -> RunResult:
        """As it stands before the clean-up, which will write it again."""
        self._facts["kept_until"] = until
        result = self._result(outcome, record.verdict_of(outcome) if outcome else Verdict.PASS)
        record.write(self.dir, result, self.console)
        return result

    def _result(self, outcome: WarmciError | None, verdict: Verdict) -> RunResult:
        redact, context = self.console.redact, self._context
        is_mistake = verdict is Verdict.USAGE  # of who asks: there is no cause in the app
        if context is not None:
            self._facts |= {
                "images": context.last_images,
                "image_names": context.image_names,
                "screenshots": {name: redact(said) for name, said in context.screenshots.items()},
                "deviations": tuple(redact(text) for text in context.deviations),
                "dependencies": context.dependencies,
                "attach": context.attached,
            }
        page = links.repository_page(
            self.settings.forge_url,
            self.settings.forge_repository,
            str(self._facts.get("source", "")),
            self.request.recipe,
        )
        commit = str(self._facts.get("head_commit", ""))
        base = self.settings.site_url.rstrip("/")
        report = f"{base}/runs/{self.id}.html" if base else ""
        self._facts |= {
            "links": links.of_run(page, self.request.pr, commit, self.request.job, report),
            "verdict": verdict,
            "exit_code": EXIT_CODES[verdict],
            "stages": tuple(self.recorder.stages),
            "seconds": round(time.monotonic() - self._began - self.keeping.seconds, 3),
            "summary": redact(outcome.message) if outcome else "",
            "hint": redact(outcome.hint or "") if outcome else "",
            "log_excerpt": (log := redact(getattr(outcome, "log", "")) if outcome else ""),
            "kept": tuple(seen.listed(self.dir)),
            "cause": None if outcome is None or is_mistake else find_cause(redact(outcome.message), log),
        }
        return RunResult.model_validate(self._facts)


def run_recipe(
    settings: Settings, console: Console, request: Request, *, told: Callable[[RunResult], None] | None = None
) -> RunResult:
    """Test a recipe and say the verdict, whatever it is; never raises for it.

    told: of a run whose app is kept, called with its result as soon as the app can be used.
    """
    run = Run(settings, console, request)
    if told is not None:
        run.keeping.told = told
    with once():
        result = run.execute()
        with suppress(InterruptedRunError):  # as above; the next run writes both again
            metrics.write(settings, lambda text: console.say(text, style="yellow"))
            if run.dir.is_dir():  # else the state directory takes nothing of ours
                site.rebuild(settings, lambda text: console.say(text, style="yellow"))
    return result
