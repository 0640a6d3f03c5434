"""The app under test: install, upgrade, test, look again, undeploy. Used by both pipelines and by promotion."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmci.base import authority
from warmci.base.errors import InfraError, RecipeFailedError
from warmci.base.labels import COMMIT_LABEL, NAMESPACE_LABEL
from warmci.base.models import Ingress
from warmci.recipe.replaced import changed_services
from warmci.run import anonymous, overlay_faults, screenshot, seen
from warmci.run.behind_direct import BehindDirect
from warmci.run.behind_traefik import BehindTraefik
from warmci.run.canaries import Canaries, mounts
from warmci.run.own_tests import OwnTests
from warmci.run.pulls import rendered_at
from warmci.run.watch import Watch
from warmci.swarm import by_zero
from warmci.swarm.deployment import Deployment
from warmci.swarm.direct import Direct
from warmci.swarm.judge import CHECKED_S

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from warmci.recipe.ingress import Route
    from warmci.recipe.render import Placement, Rendered
    from warmci.report.stages import Stage
    from warmci.run.context import Context
    from warmci.testing import suite

_THROUGH_ZERO = "upgraded by way of zero replicas (stopped, then started), as stop-first does it, without swarm's waits"


@dataclass
class App:
    """One deployment of the recipe under test, with its data."""

    context: Context
    placement: Placement
    title: str
    volume_dirs: dict[str, Path]
    new_volumes: Path
    env_commit: str
    secrets: dict[str, str] = field(default_factory=dict)
    rendered: Rendered | None = None
    watch_s: float = 0.0
    """How long each task must have run before the last look at the head."""

    def __post_init__(self) -> None:
        self._base: Rendered | None = None
        self._submitted: Rendered | None = None
        self._took = False
        work = self.context.work_dir / self.placement.stack
        work.mkdir(mode=0o700)
        self.new_volumes.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.own_tests = OwnTests(self.context, self.placement, work, self.secrets)
        self._canaries = Canaries(self.volume_dirs)
        self.deployment = Deployment(
            self.context.engine,
            self.placement,
            work,
            self.volume_dirs,
            self.new_volumes,
            self.secrets,
            announce=self.context.journal.note,
            say=self.context.console.progress,
        )
        self._watch = Watch(self.context.engine, self.placement.stack)
        certificate = authority.served(self.context.settings) if self.placement.secure else None
        self.way = Direct(self.context.engine, self.placement.stack, self.placement.port, work / "direct", certificate)
        if self.placement.fronted:
            self.context.ways.append(self.way)
        self.deployment.claim()
        self.context.cleanup.callback(self.remove)

    @contextmanager
    def _stage(self, name: str) -> Iterator[Stage]:
        """A stage of this app; when it fails, what can be seen of the stack is kept before anything is taken away."""
        context = self.context
        try:
            with context.recorder.stage(f"{self.title}: {name}") as stage:
                yield stage
        except (RecipeFailedError, InfraError):
            self.own_tests.drop()
            seen.keep(
                context.engine,
                self.placement.stack,
                context.run_dir,
                self.title,
                (self._base, self._submitted),
                context.console.redact,
            )
            raise

    # --- deploying

    def _render(self, commit: str) -> Rendered:
        self._took = False
        rendered = rendered_at(self.context, self.placement, self.env_commit, commit)
        self.context.deviate(*rendered.deviations)
        return rendered

    def may_be_the_overlays(self, red: RecipeFailedError) -> bool:
        """Whether this red, told just now, may come of the overlay below its data (run/overlay_faults.py)."""
        documents = [rendered for rendered in (self._base, self._submitted) if rendered is not None]
        with_data = {name for rendered in documents for services in mounts(rendered).values() for name in services}
        return overlay_faults.may_be(red, ran=self._took, with_data=with_data)

    def _submit(self, rendered: Rendered, through_zero: Collection[str] = ()) -> None:
        self._base, self._submitted, self._took = self.rendered, rendered, False
        realm = self.context.realm
        fixed = {**self.context.config.secrets, **(realm.secrets(self.placement.facts) if realm else {})}
        self.context.console.redact.add(*fixed.values())
        try:
            self.deployment.deploy(rendered, fixed, through_zero=through_zero)
        finally:
            self.context.console.redact.add(*self.secrets.values())
        self.rendered, self._took = rendered, True
        if rendered.commit == self.context.head or not self.context.image_names:  # the other half may be at its base
            self.context.image_names = dict(rendered.images)
        if self.placement.fronted:
            self.way.follow(rendered.route)
        if self.context.realm:
            self.context.realm.serve(self.placement.url)

    def _converge(
        self, monitors: Mapping[str, by_zero.Monitor | None] | None = None, *, checked_s: float = CHECKED_S
    ) -> None:
        settings = self.context.settings
        usual_s = deadline_s = settings.deploy_timeout_s
        if self.rendered:
            deadline_s = self.rendered.deadline_s(usual_s, settings.deploy_timeout_max_s)
        if deadline_s > usual_s:
            self.context.deviate(f"a deployment may take {deadline_s:.0f} s, as the recipe's timeout says")
        states = self.deployment.wait(deadline_s, self.context.console.progress, monitors, checked_s)
        self._watch.begin(states)
        if self.placement.fronted:
            self.way.refresh()  # no event tells that the swarm has seen its tasks run
        self.context.deviate(
            *(f"{state.name} runs nowhere: no node meets its constraints" for state in states if state.nowhere),
            *(f"{state.name} runs nowhere: replicas: 0" for state in states if not state.wanted and not state.nowhere),
        )

    def install(self, commit: str, stage: str, *, checked_s: float = CHECKED_S) -> None:
        """Deploy a commit on the data at hand and see that it serves.

        checked_s: for how long what its health check has answered for must be seen running.
        """
        with self._stage(stage) as record:
            self._submit(self._render(commit))
            self._converge(checked_s=checked_s)
            self._check_code(record)
            self._check_serving(record)
            self._warn_of_anonymous_volumes()
            record.detail = f"{self.version}{self._unasked()}"

    def _warn_of_anonymous_volumes(self) -> None:
        for service, target in sorted(anonymous.found(self.context.engine, self.placement.stack)):
            self.context.deviate(f"{service}: {target} is an anonymous volume: its data is lost at each update")

    def upgrade(self, commit: str) -> bool:
        """Deploy the head over what runs, in place, and see that it is the head that serves, on the same data.

        Returns whether it changed any service at all.
        """
        before = self.rendered
        if before is None:
            raise AssertionError("upgrade before install")
        with self._stage("upgrade to the head") as record:
            self._watch.require_alive()
            self._canaries.plant()
            planted = anonymous.plant(self.context.engine, self.placement.stack, self._canaries.name)
            after = self._render(commit)
            through_zero = by_zero.services(before, after) if self.placement.quick else {}
            self.context.deviate(*(f"{name}: {_THROUGH_ZERO}" for name in through_zero))
            self._submit(after, through_zero)
            if self.placement.quick:  # cold takes no short cut: what a module asks as it is collected finds the app
                self.own_tests.begin()
            self._converge(through_zero)
            if orphans := self.deployment.remove_orphans(after):
                self.context.deviate(f"services dropped by the head were removed: {', '.join(orphans)}")
                self._converge()
            self._check_code(record)
            self._canaries.check(record, before, after, self.context.config.allow)
            self._check_route(record, before, after)
            for service, target in planted.lost(self.context.engine, self.placement.stack):
                self.context.deviate(
                    f"{service}: a file put into the anonymous volume at {target} before the upgrade is gone"
                )
            self._check_serving(record)
            changed = changed_services(before, after)
            record.detail = f"{before.version} → {after.version}, " + (
                f"changed: {', '.join(sorted(changed))}" if changed else "no service changed: upgrade not verified"
            )
            record.detail += self._unasked()
        return bool(changed)

    @property
    def version(self) -> str:
        return self.rendered.version if self.rendered else ""

    # --- generic tests

    def _check_code(self, stage: Stage) -> None:
        """The running tasks' image and the services' commit label are the ones asked for."""
        rendered, engine = self._require_rendered(), self.context.engine
        label = [f"{NAMESPACE_LABEL}={self.placement.stack}"]
        stale = [
            service["Spec"]["Name"]
            for service in engine.services(label)
            if service["Spec"]["Labels"].get(COMMIT_LABEL) != rendered.commit
        ]
        stage.check("commit label is the one asked for", not stale, f"still another commit: {', '.join(stale)}")
        running = self.deployment.running_images()
        wrong = [
            f"{name} runs {running[name][:19]}, not {image}"
            for name, image in rendered.images.items()
            if name in running and running[name] != engine.image_digest(image)
        ]
        stage.check(
            "running images are the ones asked for", bool(running) and not wrong, "; ".join(wrong) or "no task runs"
        )

    def _check_route(self, stage: Stage, before: Rendered, after: Rendered) -> None:
        was, now = before.route, after.route
        routed = was is None or (now is not None and (was.source, now.source) != ("traefik", "ports"))
        lost = "the head lost the Traefik labels that it was reached by"
        stage.check("the app is still routed", routed, lost, final=True)

    def _check_serving(self, stage: Stage) -> None:
        """The app itself answers below 400 under its own name; a proxy's 404 does not pass for it."""
        route = self._require_rendered().route
        if route is None:
            return  # said in the stage's detail and as a deviation
        ok, message, listens = self._ask(route)
        why, log = ("", "") if ok else self._watch.why_unreached(route.service, None if listens else route.port)
        path = self.context.config.health_path
        stage.check(f"serves {path}", ok, f"{message}; {why}" if why else message, log)

    def _ask(self, route: Route) -> tuple[bool, str, bool]:
        """(whether it serves, in words, whether a task has answered at all)."""
        context, require_alive = self.context, self._watch.require_alive
        asked = (context.settings, self.placement, route, context.config.health_path)
        if self.placement.ingress is not Ingress.TRAEFIK:
            return BehindDirect(*asked).wait(require_alive)
        ok, message = BehindTraefik(*asked, context.ingress.api).wait(require_alive)
        return ok, message, False  # Traefik does not tell whose answer it is

    def _unasked(self) -> str:
        rendered = self._require_rendered()
        return f"; not asked over HTTP, because {rendered.unrouted}" if rendered.route is None else ""

    def _require_rendered(self) -> Rendered:
        if self.rendered is None:
            raise AssertionError("nothing deployed yet")
        return self.rendered

    # --- the recipe's own tests

    def test(self, phase: suite.Phase) -> None:
        """Run the operator's tests of this recipe, then look a second time whether everything still runs."""
        context = self.context
        with self._stage(f"tests ({phase})") as stage:
            outcomes = self.own_tests.run(phase, stage, self.title)
            stage.tests += outcomes
            if outcomes and all(outcome.outcome == "skipped" for outcome in outcomes):
                context.deviate(
                    f"{self.title}: tests ({phase}): all of the recipe's own ({len(outcomes)}) were skipped"
                )
            route = self._require_rendered().route
            screenshot.take(context, self.placement, route, self.title, phase)  # the watch waits all the same
            self._second_look(stage, phase)
            if not outcomes:
                stage.detail = "the recipe has no tests of its own; generic tests only"

    def _second_look(self, stage: Stage, phase: suite.Phase) -> None:
        """Not before each task has run for the recipe's own check interval: swarm said `completed` long before."""
        states = self._watch.watch(max(self._require_rendered().interval_s, self.watch_s if phase != "base" else 0.0))
        down = [str(state) for state in states if not state.settled]
        stage.check("everything still runs", bool(states) and not down, "; ".join(down) or "the services are gone")

    # --- the end

    def images(self) -> dict[str, str]:
        return self.deployment.running_images()

    def undeploy(
        self, *, keep_data: bool, measure: bool = False, meanwhile: Callable[[], None] = lambda: None
    ) -> list[str]:
        """Take it down. Returns services whose data is not at rest, as they had to be killed.

        They are known with keep_data, or where nothing is kept with measure, which costs up to their grace period.
        meanwhile: done as soon as nothing uses the data any more.
        """
        self._canaries.remove()
        with self.context.recorder.stage(f"{self.title}: undeploy"):
            self.way.close()
            killed = self.deployment.undeploy(keep_data=keep_data, measure=measure, meanwhile=meanwhile)
        services = self.rendered.document["services"] if self.rendered else {}
        with_data = {
            f"{self.placement.stack}_{name}"
            for name, service in services.items()
            if any(volume["type"] == "volume" for volume in service.get("volumes", []))
        }
        return sorted(with_data & set(killed))

    def remove(self) -> None:
        """Undo whatever is there; the finalizer of every run."""
        self.own_tests.drop()
        self.way.close()
        self.deployment.undeploy(keep_data=False)
