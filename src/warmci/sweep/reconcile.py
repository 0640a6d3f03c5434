"""`warmci canonical reconcile`: the registry as the settings declare it, by the least that must be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from warmci.base.errors import InfraError, InterruptedRunError, UsageError, WarmciError
from warmci.base.locks import Holder, host_lock
from warmci.base.models import Mode, Record, Verdict
from warmci.operate import fsck, registry
from warmci.run.context import Request
from warmci.run.run import run_recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.models import RunResult
    from warmci.base.settings import Settings
    from warmci.report.console import Console
    from warmci.store.canonical import CanonicalStore


class Action(Record):
    """One step towards what is declared."""

    recipe: str
    do: Literal["repair", "seed", "remove"]
    because: str
    failed: str = ""
    """Why it did not come about; empty when it did, or was not tried."""
    exit_code: int = 0


def plan_reconcile(settings: Settings, store: CanonicalStore) -> list[Action]:
    """What is not as declared: repairs, then seeds, then removals. Empty when all is well."""
    declared = settings.recipes
    if not declared and store.recipes():
        raise UsageError("no recipe is declared, so every canonical would go", hint="set recipes in the settings")
    found = [
        action
        for recipe in sorted({*declared, *store.homes()})
        for action in _actions(store, recipe, is_declared=recipe in declared)
    ]
    return sorted(found, key=lambda action: ("repair", "seed", "remove").index(action.do))


def reconcile(settings: Settings, console: Console, agree: Callable[[list[Action]], bool]) -> tuple[list[Action], bool]:
    """(actions with what came of them, whether they were carried out). One that fails does not stop the rest.

    Raises BusyError where another reconcile runs on this host.
    """
    store = registry.open_store(settings)
    plan = plan_reconcile(settings, store)
    if not plan or not agree(plan):
        return plan, False
    with host_lock(store.dir, "reconcile", Holder.here("reconcile", "registry", "canonical reconcile")) as lock:
        done = []
        for action in plan:
            lock.set_phase(f"{action.do} {action.recipe}")
            done.append(_tried(settings, console, store, action))
    return done, True


def seed(settings: Settings, console: Console, recipe: str, source: str = "") -> RunResult | None:
    """Make a canonical by a cold run of the default branch; None where there is a good one already."""
    store = registry.open_store(settings)
    if not _why_seed(store, recipe):
        return None
    result = run_recipe(settings, console, Request(recipe, Mode.COLD, source=source))
    if result.verdict is Verdict.INTERRUPTED:
        raise InterruptedRunError(result.summary, hint=result.hint)
    return result


def _actions(store: CanonicalStore, recipe: str, *, is_declared: bool) -> list[Action]:
    problems = fsck.examine(store, recipe)
    repairs = [
        Action(recipe=recipe, do="repair", because=problem.what) for problem in problems if problem.kind != "dirty"
    ]
    if any(problem.kind == "unreadable" for problem in problems):
        return repairs  # whether it is to be seeded or removed is not known before
    if not is_declared:
        canonical = store.load(recipe)
        gone = [Action(recipe=recipe, do="remove", because="it is not declared")] if canonical else []
        return [*repairs, *gone]
    damaged = next((problem.what for problem in problems if problem.kind == "damaged"), "")
    because = damaged or _why_seed(store, recipe)
    return [*repairs, *([Action(recipe=recipe, do="seed", because=because)] if because else [])]


def _why_seed(store: CanonicalStore, recipe: str) -> str:
    canonical = store.load(recipe)
    if canonical is None:
        return "there is no canonical"
    return "" if canonical.state == "good" else f"the canonical is dirty: {canonical.reason}"


def _tried(settings: Settings, console: Console, store: CanonicalStore, action: Action) -> Action:
    try:
        _carry_out(settings, console, store, action)
    except InterruptedRunError:
        raise
    except WarmciError as error:
        console.error(f"{action.recipe}: {error.message}", error.hint)
        return action.model_copy(update={"failed": error.message, "exit_code": error.exit_code})
    return action


def _carry_out(settings: Settings, console: Console, store: CanonicalStore, action: Action) -> None:
    """Each looks again under its own lock: what was planned may have been done by somebody else meanwhile."""
    if action.do == "repair":
        left = registry.check_registry(settings, console, [action.recipe], read_data=False, dry_run=False)
        for problem in left:
            if not problem.repaired and problem.kind != "dirty":
                raise InfraError(problem.what, hint=problem.hint)
    elif action.do == "remove":
        if action.recipe in store.recipes():
            registry.remove_canonical(settings, console, action.recipe, lambda _: True)
    else:
        result = seed(settings, console, action.recipe)
        if result is not None and result.exit_code:
            raise _SeedError(result)
        if because := _why_seed(store, action.recipe):
            raise InfraError(f"the cold run was green, but {because}", hint=f"run_recipe_ci.py {action.recipe}")


class _SeedError(WarmciError):
    """A seed's cold run was not green; has the run's own exit code."""

    def __init__(self, result: RunResult) -> None:
        super().__init__(f"not seeded: {result.summary}", hint=result.hint or f"run_recipe_ci.py {result.recipe}")
        self.exit_code = result.exit_code
