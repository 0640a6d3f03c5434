"""`run_recipe_ci.py R --plan`: what a run would do, and what stands in its way. Deploys nothing, takes no lock."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from warmci.base import names
from warmci.base.models import EXIT_CODES, Ingress, Line, Mode, Record, Verdict
from warmci.live.ingress_json import load_ingress
from warmci.operate.lock_table import HeldLock, look
from warmci.recipe.changes import Change, changes, frozen_configs
from warmci.recipe.config import load_config
from warmci.recipe.reading import missing_secrets, read_commit
from warmci.recipe.render import changed_services
from warmci.run import quick
from warmci.run.checkout import check_out, stranger
from warmci.store.canonical import CanonicalStore
from warmci.testing.collected import collected_by_phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.models import Canonical
    from warmci.base.settings import Settings
    from warmci.recipe.config import RecipeConfig
    from warmci.recipe.reading import Reading
    from warmci.run.checkout import Checkout
    from warmci.run.context import Request


class Obstacle(Record):
    """Why the run would not be green. `allow`: the word for recipe.toml, where the operator may let it pass."""

    of: Literal["head", "base", "upgrade", "tests"]
    verdict: Verdict
    says: Line
    hint: Line = ""
    allow: Line = ""


class Plan(Record):
    schema_version: Literal[1] = 1
    recipe: Line
    source: Line
    ref: Line
    requested: Mode
    runs: Mode
    because: Line = ""
    """Why another mode would run than was asked for."""
    base_version: Line = ""
    base_commit: Line = ""
    head_version: Line
    head_commit: Line
    trusted: bool
    promotion: Line
    """What would come of a green run."""
    ingress: Ingress
    images: tuple[Line, ...] = ()
    changes: tuple[Change, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    """All of them; the first decides the verdict."""
    deviations: tuple[Line, ...] = ()
    tests: dict[str, tuple[Line, ...]] = {}
    """Phase to its tests in their order."""
    locks: tuple[HeldLock, ...] = ()
    """Held now, of this recipe and of the slots."""
    verdict: Verdict
    exit_code: int


def plan(settings: Settings, request: Request, warn: Callable[[str], None]) -> Plan:
    """Raises what a run's checkout raises, and InfraError without a Docker CLI."""
    names.pull_request(request.pr)
    config = load_config(settings.recipes_dir, request.recipe)
    kind = _ingress(settings)
    canonical = CanonicalStore(settings.state_dir).load(request.recipe) if settings.state_dir.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="warmci-plan-") as work:
        found = check_out(settings, request, Path(work), warn)
        because = quick.why_not(canonical, kind, config.scheme, found.repository) if request.mode is Mode.QUICK else ""
        is_quick = request.mode is Mode.QUICK and not because
        pair = _Pair(settings, config, found, canonical if is_quick else None, kind)
        tests, broken = collected_by_phase(
            settings.recipes_dir / request.recipe, Path(work), config.test_timeout_s, settings.pytest_plugins
        )
        obstacles = [*pair.obstacles(), *_of_tests(broken)]
        verdict = obstacles[0].verdict if obstacles else Verdict.PASS
        phases = ("quick",) if is_quick else ("install", *(("base", "upgrade") if pair.base_commit else ()))
        return Plan(
            recipe=request.recipe,
            source=found.repository.source,
            ref=found.ref,
            requested=request.mode,
            runs=Mode.QUICK if is_quick else Mode.COLD,
            because=because,
            base_version=found.repository.version_of(pair.base_commit) if pair.base_commit else "",
            base_commit=pair.base_commit,
            head_version=found.repository.version_of(found.head),
            head_commit=found.head,
            trusted=found.trusted,
            promotion="none: quick never promotes"
            if is_quick
            else promotion(canonical, request, found, kind, config.scheme),
            ingress=kind,
            images=pair.images(),
            changes=pair.changes(),
            obstacles=tuple(obstacles),
            deviations=(*found.said, *pair.deviations()),
            tests={phase: tests[phase] for phase in phases},
            locks=tuple(lock for lock in look(settings) if _concerns(lock, request.recipe)),
            verdict=verdict,
            exit_code=EXIT_CODES[verdict],
        )


def _ingress(settings: Settings) -> Ingress:
    """What `auto` comes to by the record of a live Traefik; somebody else's is seen by the run alone."""
    if settings.ingress == "traefik" or (settings.ingress == "auto" and load_ingress(settings) is not None):
        return Ingress.TRAEFIK
    return Ingress.DIRECT


def _concerns(lock: HeldLock, recipe: str) -> bool:
    return lock.lock == f"app-{recipe}" or lock.lock.startswith("slot-")


def _of_tests(broken: str) -> list[Obstacle]:
    return [Obstacle(of="tests", verdict=Verdict.FAIL, says=broken)] if broken else []


def promotion(canonical: Canonical | None, request: Request, found: Checkout, kind: Ingress, scheme: str) -> str:
    """What would come of a green cold run, as the pipeline decides it."""
    if not found.trusted or request.keep == "always":
        because = "its app is kept (--keep)" if found.trusted else "not trusted code"
        return f"none: {'not committed' if request.worktree else because}"
    foreign = stranger(canonical, request, found.repository)
    if canonical is None or request.reseed:
        return "seed"
    if request.source and foreign:
        return f"none: {foreign}"
    moved = quick.born_elsewhere(canonical, kind, scheme) or foreign
    if moved or canonical.state != "good":
        return f"seed: {moved or f'the canonical is {canonical.state}'}"
    return _advance(canonical, found)


def _advance(canonical: Canonical, found: Checkout) -> str:
    if canonical.commit == found.head:
        return "none: the canonical is the head"
    if found.repository.descends(found.head, canonical.commit):
        return f"advance from {canonical.version}"
    return f"none: the canonical {canonical.version} is not part of the head's history"


class _Pair:
    """Base and head, each read as the run would read it."""

    def __init__(
        self, settings: Settings, config: RecipeConfig, found: Checkout, canonical: Canonical | None, kind: Ingress
    ) -> None:
        """canonical: what a quick run starts from; a cold one starts from the newest older release."""
        repository = found.repository

        def read(commit: str, env_commit: str = "") -> Reading:
            return read_commit(settings, config, repository, commit, env_commit, kind)

        self._config, self._canonical = config, canonical
        self.head = read(found.head)
        base = None if canonical else repository.base_for(found.head)
        self.base_commit = canonical.commit if canonical else base.commit if base else ""
        env_commit = (canonical.env_commit or canonical.commit) if canonical else self.base_commit
        self.base = read(self.base_commit, env_commit) if self.base_commit else None
        self.upgraded = read(found.head, env_commit) if self.base_commit else None

    def obstacles(self) -> list[Obstacle]:
        """The head's own first, as a cold run meets them; quick installs the canonical before."""
        parts: list[tuple[Literal["head", "base", "upgrade"], Reading | None]] = [
            ("head", None if self._canonical else self.head),
            ("base", self.base),
            ("upgrade", self.upgraded),
        ]
        found: list[Obstacle] = []
        for of, reading in parts:
            for new in _of_reading(of, reading, self._config):
                if new.says not in {old.says for old in found}:
                    found.append(new)
        return found + self._of_upgrade()

    def _of_upgrade(self) -> list[Obstacle]:
        if self.base is None or self.upgraded is None or not (self.base.rendered and self.upgraded.rendered):
            return []
        old, new = self.base.rendered, self.upgraded.rendered
        hint = "raise its version in abra.sh, so that it gets another name"
        found = [
            Obstacle(of="upgrade", verdict=Verdict.FAIL, says=says, hint=hint)
            for says in frozen_configs(old.document, new.document)
        ]
        if self._canonical is not None and not changed_services(old, new):
            says = "the head changes no service of the canonical: quick would test nothing of it"
            found.append(Obstacle(of="upgrade", verdict=Verdict.UNVERIFIED, says=says, hint="run cold"))
        return found

    def changes(self) -> tuple[Change, ...]:
        if self.base is None or self.upgraded is None or not (self.base.rendered and self.upgraded.rendered):
            return ()
        return tuple(changes(self.base.rendered, self.upgraded.rendered))

    def images(self) -> tuple[str, ...]:
        named = [reading.rendered.images.values() for reading in self._readings() if reading.rendered]
        return tuple(dict.fromkeys(image for images in named for image in images))

    def deviations(self) -> tuple[str, ...]:
        said = [reading.rendered.deviations for reading in self._readings() if reading.rendered]
        return tuple(dict.fromkeys(text for texts in said for text in texts))

    def _readings(self) -> list[Reading]:
        return [reading for reading in (self.head, self.base, self.upgraded) if reading]


def _of_reading(
    of: Literal["head", "base", "upgrade"], reading: Reading | None, config: RecipeConfig
) -> list[Obstacle]:
    if reading is None:
        return []
    found = [
        Obstacle(
            of=of,
            verdict=Verdict.REFUSED,
            says=f"refused: {'; '.join(reasons)}",
            hint="if the operator trusts this: the word in `allow` of recipe.toml",
            allow=word,
        )
        for word, reasons in reading.refused.items()
    ]
    if reading.wrong:
        verdict = Verdict.USAGE if reading.is_usage else Verdict.FAIL
        found.append(Obstacle(of=of, verdict=verdict, says=reading.wrong, hint=reading.hint))
    if reading.rendered is not None:
        found += [
            Obstacle(
                of=of,
                verdict=Verdict.USAGE,
                says=f"secret {name}: the recipe says generate=false, and nobody gave it",
                hint=f"{name} under [secrets] in recipe.toml",
            )
            for name in missing_secrets(reading.rendered, config)
        ]
    return found
