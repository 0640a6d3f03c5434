"""The registry becomes what is declared, by the least that must be done, and a second time by nothing."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from support.trees import canonical_of, save
from warmci.base.errors import BusyError, InterruptedRunError, UsageError
from warmci.base.locks import Holder, held, host_lock
from warmci.base.models import EXIT_CODES, Mode, RunResult, Verdict
from warmci.base.names import new_id
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.report.console import Console
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore
from warmci.sweep import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warmci.run.context import Request
    from warmci.sweep.reconcile import Action


def test_one_reconcile_at_a_time(registry: Registry) -> None:
    registry.commit("gone")
    settings = registry.settings("new")
    holder = Holder.here(new_id(), "registry", "canonical reconcile")
    with host_lock(registry.store.dir, "reconcile", holder):
        assert list(held(registry.store.dir)) == ["reconcile"]
        with pytest.raises(BusyError, match="the reconcile of this host"):
            reconcile.reconcile(settings, Console(quiet=True), lambda _: True)
    assert registry.store.recipes() == ["gone"]
    assert registry.ran == []

    def meanwhile(_: list[Action]) -> bool:
        registry.store.remove("gone")
        return True

    actions, _ = reconcile.reconcile(settings, Console(quiet=True), meanwhile)
    assert [action.exit_code for action in actions] == [0, 0], "what another has done is done"
    assert registry.store.recipes() == ["new"]


class Registry:
    """A registry, and cold runs that end as the test says."""

    def __init__(self, home: Path) -> None:
        self.store = CanonicalStore(open_state(home / "state").dir)
        self.verdicts: dict[str, Verdict] = {}
        self.ran: list[str] = []

    def settings(self, *recipes: str) -> Settings:
        return Settings(state_dir=self.store.dir, recipes=recipes, lock_wait_s=0)

    def commit(self, recipe: str) -> str:
        manifest = save(self.store.dir, recipe)
        assert self.store.commit(canonical_of(manifest)) == []
        return manifest.id

    def run_recipe(self, _settings: Settings, _console: Console, request: Request) -> RunResult:
        self.ran.append(request.recipe)
        verdict = self.verdicts.get(request.recipe, Verdict.PASS)
        if verdict is Verdict.PASS:
            self.commit(request.recipe)
        return RunResult(
            run=new_id(),
            recipe=request.recipe,
            ref="main",
            pr="",
            requested=Mode.COLD,
            started=datetime.now(UTC),
            verdict=verdict,
            exit_code=EXIT_CODES[verdict],
            summary="" if verdict is Verdict.PASS else "it broke",
        )

    def reconcile(self, *recipes: str, agree: bool = True) -> tuple[list[tuple[str, str]], list[Action]]:
        plans: list[Action] = []

        def answer(plan: list[Action]) -> bool:
            plans.extend(plan)
            return agree

        done, _ = reconcile.reconcile(self.settings(*recipes), Console(quiet=True), answer)
        return [(action.do, action.recipe) for action in plans], done


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    before = os.umask(0o077)
    found = Registry(tmp_path)
    monkeypatch.setattr(reconcile, "run_recipe", found.run_recipe)
    yield found
    os.umask(before)


def state_of(registry: Registry) -> dict[str, str]:
    found = [registry.store.load(recipe) for recipe in registry.store.recipes()]
    return {canonical.recipe: canonical.snapshot for canonical in found if canonical}


def test_missing_is_seeded_strange_is_removed_the_rest_is_left_alone(registry: Registry) -> None:
    kept = registry.commit("kept")
    registry.commit("gone")
    plan, done = registry.reconcile("kept", "new")
    assert plan == [("seed", "new"), ("remove", "gone")]
    assert [action.failed for action in done] == ["", ""]
    assert registry.ran == ["new"]
    assert set(state_of(registry)) == {"kept", "new"}
    assert state_of(registry)["kept"] == kept
    assert registry.store.snapshots("gone") == []
    before = state_of(registry)
    assert registry.reconcile("kept", "new") == ([], [])
    assert (state_of(registry), registry.ran) == (before, ["new"])


def test_a_no_and_a_dry_run_change_nothing(registry: Registry) -> None:
    registry.commit("gone")
    before = state_of(registry)
    plan, _ = registry.reconcile("new", agree=False)
    assert plan == [("seed", "new"), ("remove", "gone")]
    assert (state_of(registry), registry.ran) == (before, [])


def test_nothing_declared_removes_nothing(registry: Registry) -> None:
    assert registry.reconcile() == ([], [])
    registry.commit("kept")
    with pytest.raises(UsageError, match="no recipe is declared") as caught:
        registry.reconcile()
    assert "recipes in the settings" in str(caught.value.hint)
    assert "kept" in state_of(registry)


def test_dirty_and_damaged_are_seeded_anew(registry: Registry) -> None:
    registry.commit("dirty")
    registry.store.mark_dirty("dirty", "a roll-back failed")
    damaged = registry.commit("damaged")
    shutil.rmtree(snapshot.snapshot_dir(registry.store.dir, "damaged", damaged) / "volumes" / "db")
    plan, done = registry.reconcile("damaged", "dirty")
    assert plan == [("repair", "damaged"), ("seed", "damaged"), ("seed", "dirty")]
    assert [action.failed for action in done] == ["", "", ""]
    assert registry.ran == ["damaged", "dirty"]
    assert registry.reconcile("damaged", "dirty") == ([], [])


def test_what_a_crash_left_is_repaired(registry: Registry) -> None:
    snapshot_id = registry.commit("kept")
    save(registry.store.dir, "kept", "orphan")
    snapshot.stage(registry.store.dir, "kept", new_id(), run=new_id())
    save(registry.store.dir, "never", "killed in its first seed")
    plan, _ = registry.reconcile("kept")
    assert plan == [("repair", "kept"), ("repair", "never")]
    assert state_of(registry) == {"kept": snapshot_id}
    assert registry.store.snapshots("kept") == [snapshot_id]
    assert registry.store.snapshots("never") == []
    assert registry.reconcile("kept") == ([], [])


@pytest.mark.parametrize("declared", [True, False])
def test_unreadable_is_neither_seeded_nor_removed(registry: Registry, *, declared: bool) -> None:
    snapshot_id = registry.commit("broken")
    registry.commit("other")
    (snapshot.snapshot_dir(registry.store.dir, "broken", snapshot_id) / "canonical.json").unlink()
    (registry.store.dir / "broken" / "canonical.json").write_text("{")
    plan, done = registry.reconcile("other", *(["broken"] if declared else []))
    assert plan == [("repair", "broken")]
    assert (done[0].exit_code, "canonical.json" in done[0].failed) == (3, True)
    assert registry.store.snapshots("broken") == [snapshot_id]


def test_one_that_fails_does_not_stop_the_rest(registry: Registry) -> None:
    registry.verdicts = {"red": Verdict.FAIL, "untested": Verdict.UNVERIFIED}
    plan, done = registry.reconcile("good", "red", "untested")
    assert plan == [("seed", "good"), ("seed", "red"), ("seed", "untested")]
    assert [action.exit_code for action in done] == [0, 1, 6]
    assert done[1].failed == "not seeded: it broke"
    assert set(state_of(registry)) == {"good"}


def test_green_without_a_canonical_is_no_seed(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "commit", lambda _: "")
    _, done = registry.reconcile("new")
    assert "green, but there is no canonical" in done[0].failed


def test_an_interrupt_ends_it(registry: Registry) -> None:
    registry.verdicts = {"first": Verdict.INTERRUPTED}
    with pytest.raises(InterruptedRunError):
        registry.reconcile("first", "second")
    assert registry.ran == ["first"]


def test_a_seed_where_there_is_a_good_one_is_no_run(registry: Registry) -> None:
    registry.commit("kept")
    assert reconcile.seed(registry.settings(), Console(quiet=True), "kept") is None
    assert registry.ran == []
    assert reconcile.seed(registry.settings(), Console(quiet=True), "new") is not None


@pytest.mark.parametrize("name", ["../up", "Upper", ".runs", ""])
def test_declared_names_are_names(name: str) -> None:
    with pytest.raises(ValueError, match="not a recipe name"):
        Settings(recipes=(name,))
    assert Settings(recipes=("b", "a", "b")).recipes == ("b", "a")
