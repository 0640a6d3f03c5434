"""`run_recipe_ci.py R --plan`: what a run would do, and what stands in its way. Deploys nothing, takes no lock."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from warmci.base import names
from warmci.base.models import EXIT_CODES, Ingress, Line, Mode, Record, Verdict
from warmci.live.ingress import foreseen
from warmci.operate.lock_table import HeldLock, look
from warmci.recipe.changes import Change
from warmci.recipe.config import load_config
from warmci.recipe.pair import Obstacle, Pair
from warmci.recipe.reading import placed
from warmci.run import quick
from warmci.run.checkout import check_out
from warmci.run.prospect import as_found, prospect
from warmci.store.canonical import CanonicalStore
from warmci.testing.collected import collected_by_phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.models import Canonical
    from warmci.base.settings import Settings
    from warmci.run.context import Request
    from warmci.run.prospect import Prospect


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
    chosen = foreseen(settings)
    kind, scheme = chosen.kind, chosen.scheme(config.scheme)
    canonical = as_found(CanonicalStore(settings.state_dir), request.recipe) if settings.state_dir.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="warmci-plan-") as work:
        found = check_out(settings, request, Path(work), warn)
        because = quick.why_not(canonical, kind, scheme, found.repository) if request.mode is Mode.QUICK else ""
        is_quick = request.mode is Mode.QUICK and not because
        asked = (canonical, request, found.repository, found.head)
        coming = prospect(*asked, trusted=found.trusted, kind=kind, scheme=scheme)
        placement = placed(settings, request.recipe, kind, scheme)
        aged = (canonical.commit, canonical.env_commit or canonical.commit) if is_quick and canonical else None
        pair = Pair(settings, config, found.repository, placement, found.head, aged)
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
            promotion="none: quick never promotes" if is_quick else _promotion(canonical, coming),
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


def _concerns(lock: HeldLock, recipe: str) -> bool:
    return lock.lock == f"app-{recipe}" or lock.lock.startswith("slot-")


def _of_tests(broken: str) -> list[Obstacle]:
    return [Obstacle(of="tests", verdict=Verdict.FAIL, says=broken)] if broken else []


def _promotion(canonical: Canonical | None, coming: Prospect) -> str:
    if coming.action == "advance" and canonical is not None:
        return f"advance from {canonical.version}"
    return f"{coming.action}: {coming.reason}" if coming.reason else coming.action
