"""After a green cold run of trusted code: seed a canonical, or advance it by one version on its aged data."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from warmci.base import names
from warmci.base.errors import RecipeFailedError
from warmci.base.models import Canonical, CanonicalUse, Lineage, VolumeSummary
from warmci.run import cold
from warmci.run.app import App
from warmci.run.pulls import provide_aged
from warmci.store import snapshot

if TYPE_CHECKING:
    from warmci.run.context import Context


def seed(context: Context, grown: cold.Seed) -> Canonical:
    """Make the cold run's own data the canonical: a rename, whatever its size."""
    with context.recorder.stage("promote: seed") as stage:
        made = _commit(context, grown, (), ())
        stage.detail = f"canonical {made.version}, snapshot {made.snapshot}"
    return made


def advance(context: Context, current: Canonical) -> Canonical:
    """Upgrade a copy of the canonical's data in place to the head, test it there, and make that the canonical.

    The canonical in use is never written to: it stands until the new one is complete.
    """
    recipe, state_dir = context.request.recipe, context.settings.state_dir
    staging = snapshot.stage(state_dir, recipe, names.new_id(), run=context.run_id)
    context.cleanup.callback(snapshot.remove, staging)
    with context.recorder.stage("advance: copy the canonical") as stage:
        past = snapshot.load_committed(state_dir, current).summary()
        snapshot.copy_from(snapshot.snapshot_dir(state_dir, recipe, current.snapshot), staging)
        stage.detail = f"snapshot {current.snapshot}"
    volumes = {path.name: path for path in (staging / "volumes").iterdir()}
    placement = context.at_home(context.place(current.domain, quick=True))
    env_commit = current.env_commit or current.commit
    provide_aged(context, placement, env_commit, current.commit, head=context.head)
    app = App(context, placement, "advance", volumes, staging / "volumes", env_commit, dict(current.secrets))
    app.install(current.commit, "deploy the canonical")
    app.upgrade(context.head)
    app.test("upgrade")
    images = app.images()
    killed = tuple(app.undeploy(keep_data=True))
    versions = ((app.version, context.head),)
    grown = cold.Seed(staging, placement, dict(app.secrets), env_commit, versions, images, killed)
    with context.recorder.stage("promote: advance") as stage:
        made = _commit(context, grown, current.lineage, past)
        stage.detail = f"canonical {current.version} → {made.version}, snapshot {made.snapshot}"
    return made


def _commit(
    context: Context, grown: cold.Seed, past: tuple[Lineage, ...], volumes: tuple[VolumeSummary, ...]
) -> Canonical:
    """volumes: those that the data had before; where one lost nearly all of it, that is no promotion."""
    if grown.killed:
        raise RecipeFailedError(
            f"{', '.join(grown.killed)} did not stop within its grace period: its data is not at rest",
            hint=cold.STOP_HINT,
        )
    manifest = snapshot.finish(grown.staging, allow_empty=not any(volume.files for volume in volumes))
    if lost := snapshot.shrunk(volumes, manifest.summary()):
        raise RecipeFailedError(
            f"the upgrade lost data: {lost[0]}",
            hint=f"if it is meant to: {context.request.command} --reseed",
        )
    for volume in manifest.summary():
        if not volume.files:
            context.deviate(f"volume {volume.name} holds no file")
    path = snapshot.snapshot_dir(context.settings.state_dir, context.request.recipe, grown.staging.name)
    now = datetime.now(UTC)
    canonical = Canonical(
        recipe=context.request.recipe,
        source=context.repository.source,
        state="good",
        commit=context.head,
        version=grown.versions[-1][0],
        images=grown.images,
        domain=grown.placement.domain,
        port=grown.placement.port,
        ingress=grown.placement.ingress,
        scheme=context.scheme,
        env_commit=grown.env_commit,
        snapshot=grown.staging.name,
        manifest_sha256=hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest(),
        lineage=(
            *past,
            *(
                Lineage(version=version, commit=commit, run=context.run_id, at=now)
                for version, commit in grown.versions
            ),
        ),
        secrets=grown.secrets,
        run=context.run_id,
        created=now,
    )
    for warning in context.store.commit(canonical):
        context.console.say(f"warning: {warning}", style="yellow")
    return canonical


def use_of(canonical: Canonical) -> CanonicalUse:
    return CanonicalUse(
        id=canonical.snapshot,
        version=canonical.version,
        commit=canonical.commit,
        age_s=round((datetime.now(UTC) - canonical.created).total_seconds(), 1),
        manifest_sha256=canonical.manifest_sha256,
        lineage=tuple(past.version for past in canonical.lineage),
    )
