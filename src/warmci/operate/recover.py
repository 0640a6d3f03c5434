"""Cleans up after dead runs, told from live ones by their lock: at the start of every run and sweep, idempotent."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from warmci.base import names
from warmci.base.errors import BusyError, InfraError, UsageError
from warmci.base.journal import Journal
from warmci.base.labels import INSTANCE_LABEL, NAMESPACE_LABEL, RECIPE_LABEL, RUN_LABEL
from warmci.base.locks import Holder
from warmci.base.run_locks import claimed_run, dead_runs, is_alive
from warmci.live import keycloak_json, realms
from warmci.sso import keycloak_app
from warmci.store import attach, snapshot
from warmci.store.recipe_lock import claimed
from warmci.store.restore_journal import JOURNAL
from warmci.swarm import reap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from warmci.base.settings import Settings
    from warmci.store.canonical import CanonicalStore
    from warmci.swarm.engine import Engine

_OTHERS_S, _POLL_S = 120.0, 0.2
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
    say: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Remove what dead runs left in engine, Keycloak, mount table and state directory; returns what was removed.

    Raises InfraError when something could not be removed, after everything else was tried. needs_keycloak=False: realms
    that could not be reaped are a warning, for whoever can do without; the next command tries again. mine: a recipe
    whose lock the caller holds, and whose data it collects itself. What dead runs left at its home is gone afterwards,
    even where another command is at it; say is told of a wait for that.
    """
    seen = _of_runs(engine, instance)
    removed, errors = _recover_runs(engine, settings, instance, _runs_to_clean(settings, seen))
    home = _Home(mine, _home_stacks(settings, store, mine)) if mine else None
    if home and home.has(seen) and not errors:
        more, errors = _clear_home(engine, settings, instance, home, say)
        removed += more
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


def _runs_to_clean(settings: Settings, seen: Iterable[_Left]) -> list[str]:
    """Dead runs that did not get to the end of their own clean-up, known from disk or from labels alone."""
    from_disk = {run for run in dead_runs(settings.state_dir) if (settings.runs_dir / run / "work").exists()}
    from_labels = {item.run for item in seen}
    return sorted(from_disk | {run for run in from_labels if not is_alive(settings.state_dir, run)})


class _Left(NamedTuple):
    """What the engine has of a run."""

    run: str
    recipe: str
    stack: str
    """Empty for volumes and secrets, whose names begin with it."""
    name: str


class _Home(NamedTuple):
    """Where a recipe's canonical is deployed."""

    recipe: str
    stacks: set[str]

    def has(self, seen: Iterable[_Left]) -> list[_Left]:
        return [
            item
            for item in seen
            if item.recipe == self.recipe
            and (item.stack in self.stacks or any(item.name.startswith(f"{stack}_") for stack in self.stacks))
        ]


def _of_runs(engine: Engine, instance: str) -> list[_Left]:
    ours = [f"{INSTANCE_LABEL}={instance}"]
    specs = [item["Spec"] for item in (*engine.services(ours), *engine.secrets(ours), *engine.configs(ours))]
    listed = [*specs, *engine.networks(ours), *engine.volumes(ours)]
    found = [(str(item["Name"]), item["Labels"] or {}) for item in listed]
    return [
        _Left(labels[RUN_LABEL], labels.get(RECIPE_LABEL, ""), labels.get(NAMESPACE_LABEL, ""), name)
        for name, labels in found
        if _RUN_ID.fullmatch(labels.get(RUN_LABEL, ""))
    ]


def _home_stacks(settings: Settings, store: CanonicalStore, recipe: str) -> set[str]:
    domains = {names.canonical_domain(recipe, settings.base_domain)}
    with suppress(InfraError):  # an unreadable canonical is told by who needs it
        found = store.load(recipe)
        domains |= {found.domain} if found else set()
    return {names.stack_name(domain) for domain in domains}


def _clear_home(
    engine: Engine, settings: Settings, instance: str, home: _Home, say: Callable[[str], None]
) -> tuple[list[str], list[str]]:
    """Return when the engine has nothing more of other runs there: (what was removed, what went wrong).

    Its lock is held, so they are dead, even one that looks alive while another command cleans up after it. Whoever
    deployed there meanwhile would lose it to that command, which removes the stack by its name.
    """
    removed: list[str] = []
    began, said = time.monotonic(), False
    while True:
        if not (left := home.has(_of_runs(engine, instance))):
            return removed, []
        more, errors = _recover_runs(engine, settings, instance, sorted({item.run for item in left}))
        removed += more
        passed_s, what = time.monotonic() - began, f"{left[0].name} of run {left[0].run}"
        if errors or passed_s > _OTHERS_S:
            return removed, errors or [f"{what} is still there: another command cleans up after that run"]
        if passed_s > 1 and not said:
            said = True
            say(f"waiting: another command cleans up {what}")
        time.sleep(_POLL_S)


def _recover_runs(
    engine: Engine, settings: Settings, instance: str, runs: Iterable[str]
) -> tuple[list[str], list[str]]:
    """(what was removed, what went wrong); runs that another command has are left to it."""
    removed: list[str] = []
    errors: list[str] = []
    for run in runs:
        with claimed_run(settings.runs_dir / run) as dead:
            if dead:
                try:
                    removed += _recover_run(engine, settings, instance, run)
                except (InfraError, UsageError, OSError) as error:
                    errors.append(f"run {run}: {error}")
    return removed, errors


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
