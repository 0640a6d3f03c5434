"""`warmci snapshot restore`: a canonical's data into the live volumes of a stack, or out to a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci import names, restore, snapshot, stack_volumes
from warmci.claim import claimed
from warmci.engine import NAMESPACE_LABEL, Engine
from warmci.errors import UsageError
from warmci.locks import Holder
from warmci.manifest import load_manifest
from warmci.models import Record, VolumeSummary
from warmci.registry import find_canonical, open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from warmci.console import Console
    from warmci.models import Canonical
    from warmci.restore_journal import RestoreJournal
    from warmci.settings import Settings


class RestorePlan(Record):
    """What a restore will do."""

    recipe: str
    snapshot: str
    version: str
    commit: str
    stack: str
    volumes: tuple[VolumeSummary, ...]
    """Replaced, in the engine as <stack>_<name>."""
    made: tuple[str, ...] = ()
    """Volumes that the engine does not have yet."""
    notes: tuple[str, ...] = ()


def restore_app(
    settings: Settings, console: Console, recipe: str, stack: str, agree: Callable[[RestorePlan], bool]
) -> RestorePlan | None:
    """Plan, ask, restore; None when agree says no. stack: empty for that of the canonical's domain."""
    engine = Engine(settings.docker_host)
    store = open_store(settings)
    holder = Holder.here(names.new_id(), recipe, "snapshot restore")
    with claimed(settings, recipe, holder, wait_s=settings.lock_wait_s, say=console.say) as lock:
        canonical = find_canonical(store, recipe)
        plan = _plan(engine, settings, canonical, stack or names.stack_name(canonical.domain))

        def refuse_use(journal: RestoreJournal) -> None:
            stack_volumes.refuse_use(engine, journal)

        if not agree(plan):
            return None
        targets = {}
        for volume in plan.volumes:
            real = f"{plan.stack}_{volume.name}"
            found = stack_volumes.find_volumes(engine, plan.stack).get(real)
            made = found or engine.make_volume(real, {NAMESPACE_LABEL: plan.stack})
            targets[volume.name] = stack_volumes.data_dir(engine, made)
        # Read and proved, copied, and the copy proved.
        with console.bar(f"restoring {plan.stack}", 3 * sum(volume.bytes for volume in plan.volumes)) as advance:
            restore.restore_volumes(
                store.dir,
                canonical,
                targets,
                stack=plan.stack,
                refuse_use=refuse_use,
                pass_fds=[lock.fd],
                progress=advance,
            )
        return plan


def restore_to(settings: Settings, console: Console, recipe: str, target: Path) -> Canonical:
    """A proved copy of a canonical's volumes in a fresh directory that only its owner can enter."""
    store = open_store(settings)
    holder = Holder.here(names.new_id(), recipe, f"snapshot restore --to {target}")
    with claimed(settings, recipe, holder, wait_s=settings.lock_wait_s, say=console.say) as lock:
        canonical = find_canonical(store, recipe)
        total = 2 * sum(volume.bytes for volume in _volumes(settings, canonical))
        with console.bar(f"copying to {target}", total) as advance:
            restore.copy_out(store.dir, canonical, target, pass_fds=[lock.fd], progress=advance)
        return canonical


def _plan(engine: Engine, settings: Settings, canonical: Canonical, stack: str) -> RestorePlan:
    volumes = _volumes(settings, canonical)
    real = [f"{stack}_{volume.name}" for volume in volumes]
    if not volumes:
        raise UsageError(f"snapshot {canonical.snapshot} has no volume", hint="warmci snapshot list")
    there = stack_volumes.find_volumes(engine, stack)
    paths = [stack_volumes.data_dir(engine, there[name]) for name in real if name in there]
    stack_volumes.refuse_deployed(engine, stack, real, paths)
    notes = [f"volume {name} is not in the snapshot and stays as it is" for name in sorted(there.keys() - set(real))]
    if canonical.state != "good":
        notes.append(f"the canonical is dirty ({canonical.reason}); its data is restored only if it is as saved")
    if canonical.secrets:
        names_of = ", ".join(sorted(canonical.secrets))
        where = settings.state_dir / canonical.recipe / "canonical.json"
        notes.append(f"the data goes with the secrets {names_of}, which stand in {where}")
    return RestorePlan(
        recipe=canonical.recipe,
        snapshot=canonical.snapshot,
        version=canonical.version,
        commit=canonical.commit,
        stack=stack,
        volumes=tuple(volumes),
        made=tuple(name for name in real if name not in there),
        notes=tuple(notes),
    )


def _volumes(settings: Settings, canonical: Canonical) -> tuple[VolumeSummary, ...]:
    path = snapshot.snapshot_dir(settings.state_dir, canonical.recipe, canonical.snapshot)
    return load_manifest(path / "manifest.json").summary()
