"""The cold pipeline: the head installed fresh, and the newest older release upgraded to the head.

The two halves find different faults: the first broken first-boot code, the second broken migrations.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmci.base import names
from warmci.base.errors import UnverifiedError
from warmci.run.app import App
from warmci.run.dependencies import open_realm
from warmci.run.halves import run_both
from warmci.run.keeping import at_end
from warmci.run.pulls import provide_cold
from warmci.store import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.recipe.render import Placement
    from warmci.recipe.repository import Release
    from warmci.run.context import Context
    from warmci.run.prospect import Action


STOP_HINT = (
    "in the compose file: a stop_signal that it obeys, init: true where its process 1 hands none on, or a longer"
    " stop_grace_period"
)


@dataclass(frozen=True)
class ColdEnd:
    """What a green cold run leaves for promotion."""

    base: Release | None
    images: dict[str, str]
    seed: Seed | None


@dataclass(frozen=True)
class Seed:
    """Data at rest in a staging directory, born at the canonical's domain."""

    staging: Path
    placement: Placement
    secrets: dict[str, str]
    env_commit: str
    versions: tuple[tuple[str, str], ...]
    """(version, commit) that the data has lived through."""
    images: dict[str, str]
    killed: tuple[str, ...] = ()
    """Services that did not end by themselves: their data is not at rest."""


def run_cold(context: Context, coming: Action) -> ColdEnd:
    """Both halves; coming: the promotion that follows where they are green. Raises at the first red stage."""
    request, base_domain, may_seed = context.request, context.settings.base_domain, coming == "seed"
    bases = context.repository.bases_for(context.head)
    home = names.canonical_domain(request.recipe, base_domain)
    # The half whose data may seed is born at the canonical's own domain: URLs in its database stay right.
    fresh_home = may_seed and not bases
    fresh = context.place(home) if fresh_home else context.place_cold()
    provided = provide_cold(context, fresh, bases)
    base = provided.base
    aged = (context.place(home) if may_seed else context.place_cold()) if base else None
    if "keycloak" in context.config.needs:
        with context.recorder.stage("realm") as stage:
            # Promotion deploys at the canonical's domain, whichever half does.
            later = context.place(home) if coming == "advance" else None
            context.realm = open_realm(context, [item for item in (fresh, aged, later) if item])
            stage.detail = context.dependencies.get("keycloak", "")
    at_fresh = context.at_home(fresh)
    if base is None or aged is None:
        seed = _fresh_half(context, at_fresh, may_seed=fresh_home, last=not bases)
        if bases:
            raise UnverifiedError(
                f"fresh is green, the upgrade is not verified: the base's image is gone ({bases[0].version})",
                hint="push that image again, or release once so that there is a base",
            )
        with context.recorder.stage("upgrade") as stage:
            stage.skipped, stage.detail = True, "a first release has no older one"
        return ColdEnd(None, context.last_images, seed)
    at_aged, is_up = context.at_home(aged), threading.Event()
    _, seed = run_both(
        context,
        lambda: _fresh_half(context, at_fresh, may_seed=False, last=False),
        lambda: _aged_half(context, at_aged, base, is_up, may_seed=may_seed),
        provided.documents,
        is_up,
    )
    return ColdEnd(base, context.last_images, seed)


def _volumes_root(context: Context, placement: Placement, *, may_seed: bool) -> Path:
    """Volumes of a half that may seed are born in the store: seeding is then a rename, not a copy."""
    if may_seed:
        staging = snapshot.stage(context.settings.state_dir, context.request.recipe, context.run_id, run=context.run_id)
        context.cleanup.callback(snapshot.remove, staging)
        return staging / "volumes"
    return context.work_dir / f"{placement.stack}.volumes"


def _fresh_half(context: Context, placement: Placement, *, may_seed: bool, last: bool) -> Seed | None:
    volumes = _volumes_root(context, placement, may_seed=may_seed)
    app = App(context, placement, "fresh", {}, volumes, context.head, watch_s=context.settings.watch_s)
    with at_end(context, app, "install", last=last):
        app.install(context.head, "install the head")
        app.test("install")
        images = context.last_images = app.images()
    if not may_seed:
        _release_realm(context)
    # Where nothing is kept, too: whether a service with data ends when told to is what promotion will ask.
    killed = app.undeploy(keep_data=may_seed, measure=not may_seed)
    if killed and not may_seed:
        said = f"{', '.join(killed)} did not stop within its grace period: such data is never promoted (exit code 4)"
        context.deviate(f"{said}; {STOP_HINT}")
        context.console.say(f"warning: {said}; {STOP_HINT}", style="yellow")
    versions = ((app.version, context.head),)
    return _seed(app, volumes, versions, images, killed) if may_seed else None


def _aged_half(
    context: Context, placement: Placement, base: Release, is_up: threading.Event, *, may_seed: bool
) -> Seed | None:
    volumes = _volumes_root(context, placement, may_seed=may_seed)
    app = App(context, placement, "upgrade", {}, volumes, base.commit, watch_s=context.settings.watch_s)
    with at_end(context, app, "upgrade"):
        app.install(base.commit, "install the base")
        is_up.set()
        app.test("base")
        app.upgrade(context.head)
        app.test("upgrade")
        images = context.last_images = app.images()
    if not may_seed:
        _release_realm(context)
    killed = app.undeploy(keep_data=may_seed)
    versions = ((base.version, base.commit), (app.version, context.head))
    return _seed(app, volumes, versions, images, killed) if may_seed else None


def _release_realm(context: Context) -> None:
    """With the last app that was to know it, it goes beside an undeploy; an app whose data is kept never misses it."""
    if context.realm:
        context.realm.release()


def _seed(
    app: App, volumes: Path, versions: tuple[tuple[str, str], ...], images: dict[str, str], killed: list[str]
) -> Seed:
    return Seed(volumes.parent, app.placement, dict(app.secrets), app.env_commit, versions, images, tuple(killed))
