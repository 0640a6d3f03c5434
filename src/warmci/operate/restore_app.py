"""`warmci snapshot restore`: a canonical's data into the live volumes of a stack, or out to a directory."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from warmci.base import names
from warmci.base.errors import InfraError, UsageError
from warmci.base.labels import NAMESPACE_LABEL
from warmci.base.locks import Holder
from warmci.base.models import Record, VolumeSummary
from warmci.base.run_locks import run_lock
from warmci.base.state import open_state
from warmci.operate.deployed_app import engine_names
from warmci.operate.registry import find_canonical, open_store
from warmci.store import restore, restore_journal, stack_volumes
from warmci.store.recipe_lock import claimed
from warmci.store.snapshot import load_committed, remove
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from warmci.base.models import Canonical
    from warmci.base.settings import Settings
    from warmci.report.console import Console
    from warmci.store.restore_journal import RestoreJournal


class RestorePlan(Record):
    """What a restore will do."""

    recipe: str
    snapshot: str
    version: str
    commit: str
    stack: str
    volumes: tuple[VolumeSummary, ...]
    """Replaced."""
    made: tuple[str, ...] = ()
    """Volumes that the engine does not have yet."""
    notes: tuple[str, ...] = ()


def restore_app(
    settings: Settings, console: Console, recipe: str, stack: str, agree: Callable[[RestorePlan], bool]
) -> RestorePlan | None:
    """Plan, ask, restore; None when agree says no. stack: empty for that of the canonical's domain."""
    engine = Engine(settings.docker_host)
    store = open_store(settings)
    run = names.new_id()
    holder = Holder.here(run, recipe, "snapshot restore")
    with ExitStack() as held:
        lock = held.enter_context(claimed(settings, recipe, holder, wait_s=settings.lock_wait_s, say=console.say))
        canonical = find_canonical(store, recipe)
        stack = stack or names.stack_name(canonical.domain)
        volumes = load_committed(store.dir, canonical).summary()
        real = {volume.name: f"{stack}_{volume.name}" for volume in volumes}
        if not set(real.values()) <= stack_volumes.find_volumes(engine, stack).keys():
            # The recipe may call one otherwise; a new volume under a wrong name would help nobody.
            held.enter_context(run_lock(settings.runs_dir / run))
            held.callback(remove, settings.runs_dir / run)
            instance = open_state(settings.state_dir, floor_bytes=0).instance
            real |= engine_names(settings, canonical, stack, run, instance)
        plan = _plan(engine, settings, canonical, stack, volumes, real)
        if not agree(plan):
            return None
        targets = _targets(engine, plan, real)

        def refuse_use(journal: RestoreJournal) -> None:
            stack_volumes.refuse_use(engine, journal)

        # Copied, proved meanwhile, and the copy proved.
        with console.bar(f"restoring {stack}", 3 * sum(volume.bytes for volume in volumes)) as advance:
            try:
                warnings = restore.restore_volumes(
                    store.dir,
                    canonical,
                    targets,
                    stack=stack,
                    refuse_use=refuse_use,
                    pass_fds=[lock.fd],
                    progress=advance,
                )
            except InfraError:
                if restore_journal.load(store.dir, recipe) is None:
                    for name in plan.made:
                        engine.remove_volume(name)
                raise
        for warning in warnings:
            console.say(f"warning: {warning}", style="yellow")
        return plan


def restore_to(settings: Settings, console: Console, recipe: str, target: Path) -> Canonical:
    """A proved copy of a canonical's volumes in a fresh directory that only its owner can enter."""
    store = open_store(settings)
    if target.is_symlink() or target.exists():
        raise UsageError(f"{target} exists", hint="name a directory that does not; it is made")
    if target.resolve().is_relative_to(store.dir.resolve()):
        raise UsageError(f"{target} is inside the state directory", hint="name a directory elsewhere")
    holder = Holder.here(names.new_id(), recipe, f"snapshot restore --to {target}")
    with claimed(settings, recipe, holder, wait_s=settings.lock_wait_s, say=console.say) as lock:
        canonical = find_canonical(store, recipe)
        total = 3 * sum(volume.bytes for volume in load_committed(store.dir, canonical).summary())
        with console.bar(f"copying to {target}", total) as advance:
            restore.copy_out(store.dir, canonical, target, pass_fds=[lock.fd], progress=advance)
        return canonical


def _plan(
    engine: Engine,
    settings: Settings,
    canonical: Canonical,
    stack: str,
    volumes: tuple[VolumeSummary, ...],
    real: Mapping[str, str],
) -> RestorePlan:
    if not volumes:
        raise UsageError(f"snapshot {canonical.snapshot} has no volume", hint="warmci snapshot list")
    there = stack_volumes.find_volumes(engine, stack)
    wanted = [real[volume.name] for volume in volumes]
    paths = [stack_volumes.data_dir(engine, there[name]) for name in wanted if name in there]
    stack_volumes.refuse_deployed(engine, stack, wanted, paths)
    notes = [f"volume {name} is not in the snapshot and stays as it is" for name in sorted(there.keys() - set(wanted))]
    if canonical.state != "good":
        notes.append(f"the canonical is dirty ({canonical.reason}); its data is restored only if it is as saved")
    if canonical.secrets:
        keys = ", ".join(sorted(canonical.secrets))
        where = settings.state_dir / canonical.recipe / "canonical.json"
        notes.append(f"the data goes with the secrets {keys}, which stand in {where}")
    if stack == names.stack_name(canonical.domain):
        # Their runs make volumes of these very names, and never run over somebody's own.
        remedy = f"once they are not needed: docker volume rm {' '.join(sorted(wanted))}"
        notes.append(f"quick runs of {canonical.recipe} are refused while these volumes are there; {remedy}")
    return RestorePlan(
        recipe=canonical.recipe,
        snapshot=canonical.snapshot,
        version=canonical.version,
        commit=canonical.commit,
        stack=stack,
        volumes=volumes,
        made=tuple(name for name in wanted if name not in there),
        notes=tuple(notes),
    )


def _targets(engine: Engine, plan: RestorePlan, real: Mapping[str, str]) -> dict[str, Path]:
    there = stack_volumes.find_volumes(engine, plan.stack)
    found = {}
    for volume in plan.volumes:
        name = real[volume.name]
        found[volume.name] = stack_volumes.data_dir(
            engine, there.get(name) or engine.make_volume(name, {NAMESPACE_LABEL: plan.stack})
        )
    return found
