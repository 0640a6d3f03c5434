"""Cleans up after dead runs, told from live ones by their lock: at the start of every run and sweep, idempotent."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from warmci.base import names
from warmci.base.errors import BusyError, InfraError, UsageError
from warmci.base.journal import Journal
from warmci.base.labels import INSTANCE_LABEL, RUN_LABEL
from warmci.base.locks import Holder
from warmci.base.run_locks import claimed_run, dead_runs, is_alive
from warmci.live import keycloak_json, realms
from warmci.sso import keycloak_app
from warmci.store import attach, snapshot
from warmci.store.recipe_lock import claimed
from warmci.store.restore_journal import JOURNAL
from warmci.swarm import reap

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.store.canonical import CanonicalStore
    from warmci.swarm.engine import Engine

_OTHERS_S = 120.0
"""Twice what a stack gets to be gone."""
_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")


def recover(
    engine: Engine,
    settings: Settings,
    instance: str,
    store: CanonicalStore,
    *,
    needs_keycloak: bool = True,
    mine: str = "",
) -> list[str]:
    """Remove what dead runs left in engine, Keycloak, mount table and state directory; returns what was removed.

    Raises InfraError when something could not be removed, after everything else was tried. needs_keycloak=False: realms
    that could not be reaped are a warning, for whoever can do without; the next command tries again. mine: a recipe
    whose lock the caller holds, and whose data it collects itself. What dead runs left at its home is gone afterwards,
    even where another command is at it.
    """
    removed: list[str] = []
    errors: list[str] = []
    in_the_way = _runs_at_home(settings, store, mine) if mine else set()
    for run in sorted({*_runs_to_clean(engine, settings, instance), *in_the_way}):
        with claimed_run(settings.runs_dir / run, wait_s=_OTHERS_S if run in in_the_way else 0.0) as dead:
            if not dead and run in in_the_way:
                errors.append(f"run {run}: another command still cleans up after it, {_OTHERS_S:.0f} s later")
            if dead:
                try:
                    removed += _recover_run(engine, settings, instance, run)
                except (InfraError, UsageError, OSError) as error:
                    errors.append(f"run {run}: {error}")
    try:
        removed += _reap_realms(settings, instance)
    except (InfraError, UsageError) as error:
        if needs_keycloak:
            errors.append(str(error))
        else:
            removed.append(f"warning: realms of dead runs stay for now: {error.message}")
    for recipe in _recipes_with_data(store):
        if recipe == mine:
            continue
        removed += _collect(store, settings, recipe)
    if errors:
        raise InfraError(f"recovery is incomplete: {'; '.join(errors)}", hint="warmci doctor")
    return removed


def _runs_to_clean(engine: Engine, settings: Settings, instance: str) -> list[str]:
    """Dead runs that did not get to the end of their own clean-up, known from disk or from labels alone."""
    from_disk = {run for run in dead_runs(settings.state_dir) if (settings.runs_dir / run / "work").exists()}
    ours = [f"{INSTANCE_LABEL}={instance}"]
    labelled = [
        item["Spec"]["Labels"] for item in (*engine.services(ours), *engine.secrets(ours), *engine.configs(ours))
    ]
    labelled += [item["Labels"] or {} for item in (*engine.networks(ours), *engine.volumes(ours))]
    from_labels = {labels[RUN_LABEL] for labels in labelled if _RUN_ID.fullmatch(labels.get(RUN_LABEL, ""))}
    return sorted(from_disk | {run for run in from_labels if not is_alive(settings.state_dir, run)})


def _runs_at_home(settings: Settings, store: CanonicalStore, recipe: str) -> set[str]:
    """Runs, not yet cleaned up, that made something where the recipe's canonical is deployed; its lock is held.

    They are dead, though one looks alive while another command cleans up after it; whoever deployed there meanwhile
    would lose it to that command.
    """
    domains = {names.canonical_domain(recipe, settings.base_domain)}
    with suppress(InfraError):  # an unreadable one is told by who needs it
        found = store.load(recipe)
        domains |= {found.domain} if found else set()
    stacks = {names.stack_name(domain) for domain in domains}
    homes = [path.parent for path in settings.runs_dir.glob("*/work")]
    return {home.name for home in homes if any(_is_of(name, stacks) for name in Journal(home).names())}


def _is_of(name: str, stacks: set[str]) -> bool:
    return name in stacks or any(name.startswith(f"{stack}_") for stack in stacks)


def _recover_run(engine: Engine, settings: Settings, instance: str, run: str) -> list[str]:
    removed = reap.remove_objects(engine, instance, run)
    run_dir = settings.runs_dir / run
    journal = Journal(run_dir)
    removed += [f"mount {target}" for target in attach.mounted(run_dir)]
    attach.detach(run_dir / "work" / "attach")
    snapshot.remove(run_dir / "work")
    if removed and run_dir.is_dir():  # else it is known by its labels alone
        journal.note("recovered", run)
    return [f"{what} of run {run}" for what in removed]


def _reap_realms(settings: Settings, instance: str) -> list[str]:
    """Realms of dead runs at the live Keycloak, by what they say of themselves, not by journals.

    A killed run's last request may make its realm after its journal was worked off. What a Keycloak that is down
    holds is reaped when it is up again; one that was deployed for a run took its realms with it.
    """
    live = keycloak_json.load_live(settings)
    if live is None or keycloak_app.unhealthy(settings, live.url) is not None:
        return []
    with keycloak_app.connected(settings, live.access) as keycloak:
        reaped = realms.reap(realms.plan_at(keycloak, settings, instance))
    if reaped.failed:
        name, reason = next(iter(reaped.failed.items()))
        raise InfraError(f"realm {name} could not be deleted: {reason}", hint="warmci realms reap")
    return [f"realm {name}" for name in reaped.deleted]


def _recipes_with_data(store: CanonicalStore) -> list[str]:
    parts = ("staging", "trash", "snapshots", JOURNAL)
    return [recipe for recipe in store.homes() if any((store.dir / recipe / part).exists() for part in parts)]


def _collect(store: CanonicalStore, settings: Settings, recipe: str) -> list[str]:
    """What crashes left of a recipe that nobody works on; whoever does, collects it himself."""
    holder = Holder.here("recover", recipe, "recover")
    said: list[str] = []
    try:
        with claimed(settings, recipe, holder, wait_s=0, say=said.append):
            return said + [f"warning: {line}" for line in store.collect_garbage(recipe)]
    except BusyError:
        return []
    except InfraError as error:
        return [f"warning: {error.message}; nothing of {recipe} is thrown away"]
