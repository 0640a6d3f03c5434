"""The story of WarmCI on real parts: a regression that cold misses and quick on aged data catches."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base import fs, interrupts, netns
from warmci.base.errors import InfraError, RecipeFailedError, UsageError, WarmciError
from warmci.base.models import Ledger, Mode, RunResult
from warmci.base.settings import FILE_VARIABLE, Settings
from warmci.base.state import open_state
from warmci.demo import images, private_engine, recipes
from warmci.live import keycloak
from warmci.live.plan import Action
from warmci.operate import ledger
from warmci.run.context import Request
from warmci.run.run import run_recipe
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.report.console import Console

BASE_DOMAIN = "demo.warmci.localhost"
QUOTED = "[Migration v119] pq: must be owner of extension hstore"
RECIPE = "miniflux"
_MARKER = ".warmci-demo"
"""Only a directory that has it is ever removed."""


@dataclass(frozen=True)
class Step:
    """One line of the story: what was expected, what came, in how many seconds."""

    title: str
    said: str
    seconds: float
    ok: bool


@dataclass(frozen=True)
class Stage:
    """Where the story plays: an engine, recipes as git repositories, a state directory of its own."""

    settings: Settings
    root: Path
    private: bool


def prepare(root: Path, host_engine: str, console: Console) -> Stage:
    """Engine, images, recipes. An engine that is a swarm manager is used as it is; else a private one is started."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    (root / _MARKER).touch()
    docker_host, namespace = host_engine, None
    private = not _is_usable(host_engine)
    if private:
        console.say("no swarm manager answers: starting a private engine, the host's Docker is not touched")
        started = private_engine.start(root / "engine", console.say)
        docker_host, namespace = started.docker_host, started.netns
    recipes.instantiate(root / "demo")
    values = {
        "state_dir": str(root / "state"),
        "recipes_dir": str(root / "demo" / "operator"),
        "recipe_source": f"{root}/demo/recipes/{{recipe}}",
        "base_domain": BASE_DOMAIN,
        "docker_host": docker_host,
        **({"netns": str(namespace)} if namespace else {}),
    }
    text = "".join(f'{name} = "{value}"\n' for name, value in values.items())
    fs.write_atomic(root / "settings.toml", text)
    settings = Settings.model_validate(values)
    images.provide_images(Engine(docker_host), images.STORY, images.default_cache_dir(), console.say)
    if namespace is not None:
        netns.enter(namespace)
    return Stage(settings, root, private)


def _is_usable(docker_host: str) -> bool:
    try:
        return Engine(docker_host).is_swarm_manager()
    except InfraError:
        return False


class Story:
    """Tells the seven steps in order; each is checked against what it must say."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._settings, self._console = stage.settings, console
        self._state = open_state(stage.settings.state_dir)
        self._engine = Engine(stage.settings.docker_host)
        self._store = CanonicalStore(stage.settings.state_dir)
        self.steps: list[Step] = []

    def tell(self) -> bool:
        """Whether every step said what it had to."""
        self._step("1 Keycloak comes up live-warm", self._keycloak)
        self._step("2 cold 0.1.0 is green, seeds the canonical", lambda: self._promoted("0.1.0+2.2.8", "seed"))
        self._step("3 cold 0.1.1 is green, advances it", lambda: self._promoted("0.1.1+2.2.8", "advance"))
        self._step("4 quick of the good PR passes", lambda: self._quick("good", exit_code=0, quoting=""))
        self._step("5 quick of the bad PR fails", lambda: self._quick("bad", exit_code=1, quoting=QUOTED))
        self._step("6 the same bad PR cold is green", self._bad_cold)
        self._step("7 nothing else is left", self._nothing_left)
        return self._told("The story")

    def _told(self, title: str) -> bool:
        rows = [(step.title, step.said, f"{step.seconds:.1f}", "yes" if step.ok else "NO") for step in self.steps]
        self._console.table(title, ("step", "what was seen", "seconds", "as told"), rows)
        return all(step.ok for step in self.steps)

    def _step(self, title: str, play: Callable[[], str]) -> None:
        self._console.say(f"\n{title}", style="bold")
        began = time.monotonic()
        try:
            said, ok = play(), True
        except RecipeFailedError as error:
            said, ok = error.message, False
        self.steps.append(Step(title, said, time.monotonic() - began, ok))

    def _keycloak(self) -> str:
        found = keycloak.reconcile(self._settings, self._console)
        return f"{found.version} at {found.url}{', was up already' if found.action is Action.UNCHANGED else ''}"

    def _run(self, mode: Mode, ref: str, exit_code: int, pr: str = "") -> RunResult:
        result = run_recipe(self._settings, self._console, Request(RECIPE, mode, ref, pr))
        if result.exit_code != exit_code:
            raise RecipeFailedError(f"exit code {result.exit_code} instead of {exit_code}: {result.summary}")
        if result.leftovers:
            raise RecipeFailedError(f"left behind: {', '.join(result.leftovers)}")
        return result

    def _promoted(self, ref: str, action: str) -> str:
        known = self._store.load(RECIPE)
        if known is not None and ref in {past.version for past in known.lineage}:
            self._run(Mode.COLD, ref, 0) if known.version == ref else None
            return f"already in the canonical's lineage ({known.version})"
        result = self._run(Mode.COLD, ref, 0)
        promotion = result.promotion
        if promotion is None or promotion.action != action or promotion.outcome != "ok":
            raise RecipeFailedError(f"promotion: {promotion}")
        canonical = self._store.load(RECIPE)
        lived = " → ".join(past.version for past in canonical.lineage) if canonical else "?"
        return f"green; {action}: data that lived through {lived}"

    def _quick(self, ref: str, *, exit_code: int, quoting: str) -> str:
        before = self._fingerprint()
        result = self._run(Mode.QUICK, ref, exit_code, pr=ref)
        after = self._fingerprint()
        if before != after:
            raise RecipeFailedError(f"the canonical changed: {before} → {after}")
        if quoting and quoting not in f"{result.summary}\n{result.log_excerpt}":
            raise RecipeFailedError(f"the log does not quote {quoting}: {result.summary}")
        if result.ran is not Mode.QUICK:
            raise RecipeFailedError(f"ran {result.ran}, because {result.because}")
        word = f"FAIL: {quoting}; rolled back" if quoting else "PASS"
        return f"{word}, attached by {result.attach}, snapshot {after[:12]} before and after"

    def _fingerprint(self) -> str:
        """Hash of the canonical's snapshot, after every byte of it was read and compared with its manifest."""
        canonical = self._store.load(RECIPE)
        if canonical is None:
            raise RecipeFailedError("there is no canonical")
        wrong = snapshot.verify(self._settings.state_dir, RECIPE, canonical.snapshot, read_data=True)
        if wrong:
            raise RecipeFailedError(f"the canonical's snapshot is damaged: {wrong[0]}")
        return canonical.manifest_sha256

    def _bad_cold(self) -> str:
        self._run(Mode.COLD, "bad", 0, pr="bad")
        return "green: fresh data hides the regression, that is why WarmCI exists"

    def _nothing_left(self) -> str:
        now = ledger.take(self._engine, self._settings, self._state.instance, "")
        extra = [f"{kind} {name}" for kind in Ledger.model_fields for name in getattr(now, kind)]
        if extra:
            raise RecipeFailedError(f"left: {', '.join(extra)}")
        return "only the canonical and the live Keycloak"


def play(
    root: Path, host_engine: str, console: Console, *, keep: bool, story: Callable[[Stage, Console], Story] = Story
) -> bool:
    """A whole story, with its engine; whether it went as told."""
    stage = prepare(root, host_engine, console)
    try:
        as_told = story(stage, console).tell()
    finally:
        if stage.private and not keep:
            with interrupts.shielded():
                private_engine.stop(root / "engine")
    for line in last_words(root, still_there=keep or not stage.private):
        console.say(line)
    return as_told


def last_words(root: Path, *, still_there: bool) -> list[str]:
    """What can be done now, in commands that work as they are said: from a checkout the programs are not on PATH."""
    demo = f"{_program('warmci')} demo --root {root}"
    if still_there:
        words = [
            f"try it by hand: export {FILE_VARIABLE}={root / 'settings.toml'}",
            f"then: {_program('run_recipe_ci.py')} miniflux --ref bad --quick",
        ]
    else:
        words = [f"the private engine is stopped; `{demo} --keep` leaves it running for your own commands"]
    return [*words, f"`{demo} --clean` removes everything that the demo made"]


def _program(name: str) -> str:
    return name if shutil.which(name) else str(Path(sys.executable).with_name(name))


def clean(root: Path, host_engine: str, console: Console) -> list[str]:
    """Remove everything that the demo made: runs, live Keycloak, canonicals, private engine, files."""
    if not root.exists():
        return []
    if not (root / _MARKER).exists():
        raise UsageError(
            f"{root} is not a directory of the demo: it is not removed", hint="name the demo's with --root"
        )
    removed = []
    if (root / "engine").is_dir():
        private_engine.destroy(root / "engine")
        removed.append("private engine")
    elif (root / "state").is_dir():
        try:
            removed += _clean_host_engine(host_engine, root, console)
        except WarmciError as error:
            console.say(f"the engine could not be asked: {error.message}", style="yellow")
    snapshot.remove(root)
    return [*removed, str(root)]


def _clean_host_engine(docker_host: str, root: Path, console: Console) -> list[str]:
    settings = Settings(state_dir=root / "state", docker_host=docker_host, base_domain=BASE_DOMAIN)
    return keycloak.take_down(settings, console)
