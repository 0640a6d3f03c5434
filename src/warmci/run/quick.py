"""The quick pipeline: attach the canonical's data, deploy its commit, upgrade in place to the head, roll back."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from warmci.base.errors import InfraError, RecipeFailedError, RollbackError, UnverifiedError, WarmciError
from warmci.base.models import Ingress
from warmci.run.app import App
from warmci.run.dependencies import open_realm
from warmci.run.keeping import at_end
from warmci.run.pulls import provide_aged
from warmci.store import attach, outline, quiesce, snapshot
from warmci.store.manifest import compare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warmci.base.models import Canonical
    from warmci.recipe.render import Placement
    from warmci.recipe.repository import Repository
    from warmci.run.context import Context

_NEW_VOLUMES = "new-volumes"


def why_not(canonical: Canonical | None, kind: Ingress, scheme: str, repository: Repository) -> str:
    """Why quick cannot run at such a URL, so that cold runs instead; empty when it can."""
    if canonical is None:
        return f"there is no canonical of {repository.recipe}"
    if canonical.state != "good":
        return f"the canonical is {canonical.state}: {canonical.reason}"
    if reason := born_elsewhere(canonical, kind, scheme):
        return reason
    if not repository.contains(canonical.commit):
        return f"the canonical's commit {canonical.commit[:8]} is not in the repository"
    return ""


def born_elsewhere(canonical: Canonical, kind: Ingress, scheme: str) -> str:
    """Whether the canonical's data was born at other URLs: under another ingress, or at http instead of https."""
    if canonical.ingress is not kind:
        return f"the canonical was born under ingress {canonical.ingress}, and runs now take {kind}"
    if kind is Ingress.DIRECT and canonical.scheme != scheme:
        return f"the canonical was born at a URL of {canonical.scheme}, and runs now speak {scheme}"
    return ""


def run_quick(context: Context, canonical: Canonical) -> None:
    """Raises at the first red stage; RollbackError when the canonical's data did not come through unharmed."""
    if canonical.commit == context.head:
        raise UnverifiedError(
            f"the head is the canonical's own commit {context.head[:8]}: there is nothing to upgrade",
            hint="leave out --quick, or name another --ref",
        )
    if not context.repository.descends(context.head, canonical.commit):
        context.deviate(f"the head does not contain the canonical's commit {canonical.commit[:8]}: a step to the side")
    context.deviate(f"late faults: not watched for (cold watches for {context.settings.watch_s:.0f} s)")
    placement = _place(context, canonical, head=context.head)
    try:
        changed = _upgraded(context, canonical, placement, "quick", context.config.attach)
    except RecipeFailedError as red:
        if not red.again:
            raise
        # A reader that has a file mapped does not see what is written to an overlay's copy of it: no fault of the head.
        context.deviate(f"red on an overlay, tried again on a copy: {red.message}")
        context.console.say("red on an overlay: tried again on a copy before it is told", style="yellow")
        for used in (placement.stack, _NEW_VOLUMES):
            snapshot.remove(context.work_dir / used)
        changed = _upgraded(context, canonical, placement, "quick on a copy", "copy")
        context.deviate('green on a copy: attach = "copy" in recipe.toml spares the first try')
    if not changed:
        raise UnverifiedError(
            "the head changes no service of the canonical: quick has tested nothing of it", hint="leave out --quick"
        )


def _upgraded(
    context: Context, canonical: Canonical, placement: Placement, title: str, prefer: Literal["overlay", "copy"]
) -> bool:
    """Attach, deploy, upgrade, test, roll back; whether the head changed any service.

    Nothing is kept of a red that is tried again.
    """
    app = _on_canonical(context, canonical, placement, title, _attach(context, canonical, prefer))
    try:
        with at_end(context, app, "quick"), _judged(context, app):
            # Known to be good: it need only serve, to be upgraded.
            app.install(canonical.commit, "deploy the canonical", checked_s=0.0)
            changed = app.upgrade(context.head)
            app.test("quick")
            context.last_images = app.images()
        if context.realm:
            context.realm.release()  # it goes beside the roll-back
    finally:
        _roll_back(context, app, canonical)
    return changed


def run_open(context: Context, canonical: Canonical) -> None:
    """The canonical's app on a throw-away view of its data, until whoever opened it has seen enough."""
    placement = _place(context, canonical)
    app = _on_canonical(context, canonical, placement, "open", _attach(context, canonical, context.config.attach))
    try:
        with at_end(context, app, "quick"):
            app.install(canonical.commit, "boot the canonical")
            context.last_images = app.images()
    finally:
        _roll_back(context, app, canonical)


@contextmanager
def _judged(context: Context, app: App) -> Iterator[None]:
    """Says of a red whether it is tried again."""
    try:
        yield
    except RecipeFailedError as red:
        red.again = context.attached == "overlay" and app.may_be_the_overlays(red)
        raise


def run_drill(context: Context, canonical: Canonical) -> None:
    """Restore the canonical's snapshot to scratch, compare, boot it as it is, and run its tests on its data.

    Every byte is compared with the manifest, in the snapshot and in the copy. Raises at the first red stage;
    RollbackError, with the canonical marked dirty, when the snapshot is not what was saved.
    """
    with context.recorder.stage("read the snapshot") as stage:
        wrong = context.store.damage(canonical, read_data=True)
        if wrong:
            reason = f"snapshot {canonical.snapshot} is damaged in {len(wrong)} places: {wrong[0]}"
            context.store.mark_dirty(canonical.recipe, reason)
            raise RollbackError(reason, hint=f"{context.request.command} makes a new one when green")
        stage.check("the snapshot is as saved", ok=True)
    placement = _place(context, canonical)
    app = _on_canonical(context, canonical, placement, "drill", _restore(context, canonical))
    try:
        app.install(canonical.commit, "boot the canonical")
        app.test("quick")
        context.last_images = app.images()
    finally:
        _roll_back(context, app, canonical)


def _place(context: Context, canonical: Canonical, *, head: str = "") -> Placement:
    """The canonical's domain, with the images and the realm that an app there needs."""
    placement = context.place(canonical.domain, quick=True)
    if placement.port != canonical.port and canonical.ingress is placement.ingress:
        context.deviate(f"port {placement.port} instead of the canonical's {canonical.port}, which is taken")
    if "keycloak" in context.config.needs:  # first: Keycloak makes the realm while the images are looked for
        with context.recorder.stage("realm") as stage:
            context.realm = open_realm(context, [placement])
            stage.detail = context.dependencies.get("keycloak", "")
    provide_aged(context, placement, canonical.env_commit or canonical.commit, canonical.commit, head=head)
    return context.at_home(placement)


def _on_canonical(
    context: Context, canonical: Canonical, placement: Placement, title: str, volumes: dict[str, Path]
) -> App:
    env_commit, new_volumes = canonical.env_commit or canonical.commit, context.work_dir / _NEW_VOLUMES
    return App(context, placement, title, volumes, new_volumes, env_commit, dict(canonical.secrets))


def _restore(context: Context, canonical: Canonical) -> dict[str, Path]:
    """A copy in scratch, proved against the manifest: what a restore would put into place."""
    source = snapshot.snapshot_dir(context.settings.state_dir, canonical.recipe, canonical.snapshot)
    target = context.work_dir / "attach"
    manifest = snapshot.load_committed(context.settings.state_dir, canonical)
    with context.recorder.stage("restore to scratch") as stage:
        context.cleanup.callback(attach.detach, target)
        attached = attach.attach(source, target, sorted(manifest.volumes), prefer="copy")
        context.attached = attached.method
        wrong = compare(manifest, target / "copy", read_data=True)
        stage.check("the copy is the snapshot", not wrong, "; ".join(wrong[:3]))
        stage.detail = attached.method
    return dict(attached.volumes)


def _attach(context: Context, canonical: Canonical, prefer: Literal["overlay", "copy"]) -> dict[str, Path]:
    source = snapshot.snapshot_dir(context.settings.state_dir, canonical.recipe, canonical.snapshot)
    target = context.work_dir / "attach"
    with context.recorder.stage("attach the canonical") as stage:
        context.cleanup.callback(attach.detach, target)
        known = outline.outline(context.settings.state_dir, canonical)
        context.attached_ns = 0 if known.is_small else time.time_ns()
        engine_pid = context.engine.process_id()
        attached = attach.attach(
            source,
            target,
            known.volumes,
            prefer=prefer,
            is_seen=lambda mounted: quiesce.is_mounted_for(engine_pid, mounted),
        )
        context.attached = attached.method
        stage.detail = f"{attached.method}{f' ({attached.reason})' if attached.reason else ''}"
    return dict(attached.volumes)


def _roll_back(context: Context, app: App, canonical: Canonical) -> None:
    """Undeploy, drop what the run wrote, and see that the snapshot is as its manifest says.

    Of a large one that an overlay or a copy only read, no more is asked than whether its first objects were changed
    meanwhile: nothing in a quick run grows with the data. The drill and `warmci snapshot verify` look at all of it.
    Only a snapshot that is not makes the canonical dirty: an engine that hangs does not touch it.
    """
    failure: Exception | None = None
    with context.shielded():
        try:
            app.undeploy(keep_data=False, meanwhile=lambda: attach.detach(context.work_dir / "attach"))
        except (WarmciError, OSError) as error:
            failure = error
        with context.recorder.stage("roll back") as stage:
            found = context.store.damage(canonical, read_data=False, since_ns=context.attached_ns)
            wrong = "; ".join(found[:3])
            if wrong:
                reason = f"the roll-back of {context.run_id} left the snapshot changed: {wrong}"
                context.store.mark_dirty(canonical.recipe, reason)
                raise RollbackError(reason, hint=f"warmci snapshot verify {canonical.recipe}")
            stage.check("the snapshot is unchanged", ok=True)
            part = f", as far as its first {outline.LOOKED_AT} objects tell" if context.attached_ns else ""
            stage.detail = f"snapshot {canonical.snapshot} unchanged{part}"
    if failure is not None:
        raise InfraError(f"the roll-back is incomplete: {failure}", hint="warmci recover") from failure
