"""fsck finds what is wrong, repairs what it can account for, and leaves everything else where it lies."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import shutil
from typing import TYPE_CHECKING, cast

import pytest

from support.damage import DAMAGE
from support.trees import canonical_of, save
from warmci.base.errors import InfraError, InterruptedRunError, UsageError
from warmci.base.models import Ingress, Mode, VolumeSummary
from warmci.base.names import new_id
from warmci.base.run_locks import run_lock
from warmci.base.settings import Settings
from warmci.base.state import disk, open_state
from warmci.operate import fsck, registry
from warmci.report.console import Console
from warmci.run.context import Request
from warmci.run.pipeline import sound_canonical
from warmci.run.quick import why_not
from warmci.run.run import Run
from warmci.store import recipe_lock, restore, restore_journal, snapshot
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from warmci.base.models import Canonical
    from warmci.operate.fsck import Problem
    from warmci.recipe.repository import Repository


def _no_engine(docker_host: str) -> None:
    raise InfraError(f"no Docker engine answers at {docker_host}")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CanonicalStore]:
    before = os.umask(0o077)
    monkeypatch.setattr(recipe_lock, "Engine", _no_engine)
    yield CanonicalStore(open_state(tmp_path / "state").dir)
    os.umask(before)


def committed(store: CanonicalStore, content: str = "old") -> Canonical:
    canonical = canonical_of(save(store.dir, content=content))
    assert store.commit(canonical) == []
    return canonical


def fix(store: CanonicalStore, *, dry_run: bool = False, read_data: bool = False) -> list[Problem]:
    settings = Settings(state_dir=store.dir, lock_wait_s=0)
    return registry.check_registry(settings, Console(quiet=True), store.homes(), read_data=read_data, dry_run=dry_run)


def shape(store: CanonicalStore) -> dict[str, bytes]:
    return {
        str(path.relative_to(store.dir)): path.read_bytes() if path.is_file() else b""
        for path in sorted(store.dir.rglob("*"))
        if ".locks" not in path.parts
    }


def test_a_healthy_registry_has_no_problem(store: CanonicalStore) -> None:
    committed(store)
    before = shape(store)
    assert fix(store, read_data=True) == []
    assert shape(store) == before


@pytest.mark.parametrize("case", [case for case in DAMAGE if case != "newer version"])
def test_an_unreadable_canonical_is_rebuilt_from_its_snapshot(store: CanonicalStore, case: str) -> None:
    canonical = committed(store)
    path = store.dir / "demo" / "canonical.json"
    damaged = DAMAGE[case](path.read_bytes())
    path.write_bytes(damaged)
    (planned,) = fix(store, dry_run=True)
    assert (planned.kind, planned.repaired, planned.snapshot) == ("unreadable", False, canonical.snapshot)
    assert path.read_bytes() == damaged
    (done,) = fix(store)
    assert done.is_over
    assert store.load("demo") == canonical
    kept = list(path.parent.glob("canonical.json.unreadable-*"))
    assert [found.read_bytes() for found in kept] == [damaged]
    assert kept[0].name in done.remedy
    assert fix(store) == []


def test_what_a_newer_warmci_wrote_is_left_to_it(store: CanonicalStore) -> None:
    committed(store)
    path = store.dir / "demo" / "canonical.json"
    path.write_bytes(DAMAGE["newer version"](path.read_bytes()))
    before = shape(store)
    (problem,) = fix(store)
    assert (problem.kind, problem.remedy, problem.repaired) == ("unreadable", "", False)
    assert "newer" in problem.hint
    assert shape(store) == before


@pytest.mark.parametrize("lost", ["entry", "data", "manifest", "snapshot"])
def test_unreadable_and_nothing_to_rebuild_it_from(store: CanonicalStore, lost: str) -> None:
    """Never taken for "no canonical": nothing is deleted, whatever is run."""
    canonical = committed(store)
    save(store.dir, content="orphan")
    home = snapshot.snapshot_dir(store.dir, "demo", canonical.snapshot)
    if lost == "entry":
        (home / "canonical.json").unlink()
    elif lost == "data":
        (home / "volumes" / "db" / "content").write_text("dlo")
    elif lost == "manifest":
        (home / "manifest.json").write_text("{}")
    else:
        shutil.rmtree(home)
    (store.dir / "demo" / "canonical.json").write_text("{")
    before = shape(store)
    (problem,) = fix(store)
    assert (problem.kind, problem.remedy, problem.repaired) == ("unreadable", "", False)
    assert "warmci canonical remove demo" in problem.hint
    with pytest.raises(InfraError):
        store.collect_garbage("demo")
    assert shape(store) == before


def test_the_newest_complete_one_stands_for_an_unreadable_canonical(store: CanonicalStore) -> None:
    """As after a kill between the entry beside a new snapshot and the commit: old or new, both are complete."""
    committed(store, "old")
    manifest = save(store.dir, content="new")
    new = canonical_of(manifest)
    entry = snapshot.snapshot_dir(store.dir, "demo", manifest.id) / "canonical.json"
    entry.write_text(json.dumps(new.model_dump(mode="json")))
    (store.dir / "demo" / "canonical.json").write_text("")
    assert all(problem.is_over for problem in fix(store))
    found = store.load("demo")
    assert found is not None
    assert found in (new, store.entry_of("demo", found.snapshot))
    assert store.damage(found, read_data=True) == []


def test_the_one_that_can_still_be_read_is_preferred(store: CanonicalStore) -> None:
    old = committed(store, "old")
    for _ in range(3):  # ids of one second are in no order
        manifest = save(store.dir, content="new")
        entry = snapshot.snapshot_dir(store.dir, "demo", manifest.id) / "canonical.json"
        entry.write_text(json.dumps(canonical_of(manifest).model_dump(mode="json")))
    path = store.dir / "demo" / "canonical.json"
    path.write_bytes(path.read_bytes()[:-20])
    fix(store)
    assert store.load("demo") == old


def test_an_entry_under_a_strange_name_stands_for_nothing(store: CanonicalStore) -> None:
    canonical = committed(store)
    other = save(store.dir, content="other")
    home = snapshot.snapshot_dir(store.dir, "demo", canonical.snapshot)
    shutil.copy(home / "canonical.json", snapshot.snapshot_dir(store.dir, "demo", other.id))
    assert store.entry_of("demo", other.id) is None


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": shutil.rmtree,
    "no manifest": lambda home: (home / "manifest.json").unlink(),
    "bad manifest": lambda home: (home / "manifest.json").write_text("{}"),
    "other manifest": lambda home: (home / "manifest.json").write_text((home / "manifest.json").read_text() + "\n"),
    "a file is gone": lambda home: (home / "volumes" / "db" / "content").unlink(),
    "a volume is gone": lambda home: shutil.rmtree(home / "volumes" / "db"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_snapshot_makes_the_canonical_dirty(store: CanonicalStore, case: str) -> None:
    canonical = committed(store)
    DAMAGES[case](snapshot.snapshot_dir(store.dir, "demo", canonical.snapshot))
    data = {name: text for name, text in shape(store).items() if not name.endswith("/canonical.json")}
    (problem,) = [found for found in fix(store) if found.kind == "damaged"]
    assert problem.repaired
    assert not problem.is_over, "quick refuses it until a cold run has seeded it anew"
    assert "warmci canonical seed demo" in problem.hint
    found = store.load("demo")
    assert found is not None
    assert (found.state, canonical.snapshot in found.reason) == ("dirty", True)
    assert {name: text for name, text in shape(store).items() if not name.endswith("/canonical.json")} == data
    assert [again.kind for again in fix(store) if again.kind != "stray"] == ["dirty"]


def test_only_reading_finds_silent_rot(store: CanonicalStore) -> None:
    canonical = committed(store)
    path = snapshot.snapshot_dir(store.dir, "demo", canonical.snapshot) / "volumes" / "db" / "content"
    before = path.stat().st_mtime_ns
    path.write_text("dlo")
    os.utime(path, ns=(before, before))
    assert fix(store) == []
    assert [problem.kind for problem in fix(store, read_data=True)] == ["damaged"]


def test_garbage_is_named_and_removed(store: CanonicalStore) -> None:
    committed(store)
    clean = {name for name in shape(store) if not name.endswith(("staging", "trash"))}
    orphan = save(store.dir, content="orphan")
    abandoned = snapshot.stage(store.dir, "demo", new_id(), run=new_id())
    (store.dir / "demo" / ".canonical.json.77.tmp").write_text("half")
    (planned,) = fix(store, dry_run=True)
    assert all(name in planned.what for name in (orphan.id, abandoned.name, ".canonical.json.77.tmp"))
    assert abandoned.exists()
    assert [problem.is_over for problem in fix(store)] == [True]
    assert {name for name in shape(store) if not name.endswith(("staging", "trash"))} == clean


def test_the_staging_of_a_live_run_is_no_garbage(store: CanonicalStore) -> None:
    committed(store)
    run = new_id()
    with run_lock(store.dir / ".runs" / run):
        snapshot.stage(store.dir, "demo", new_id(), run=run)
        assert fix(store) == []


def test_a_stray_snapshot_nobody_can_read_is_left_to_the_operator(store: CanonicalStore) -> None:
    committed(store)
    stray = save(store.dir, content="stray")
    (snapshot.snapshot_dir(store.dir, "demo", stray.id) / "manifest.json").write_text("{")
    (problem,) = fix(store)
    assert (problem.kind, problem.repaired) == ("stray", False)
    assert problem.hint == f"warmci snapshot remove demo {stray.id}"
    assert stray.id in store.snapshots("demo")
    settings, console = Settings(state_dir=store.dir, lock_wait_s=0), Console(quiet=True)
    plans: list[str] = []

    def agree(plan: registry.RemovalPlan) -> bool:
        plans.append(plan.snapshots[0].problem)
        return len(plans) > 1

    assert registry.remove_snapshot(settings, console, "demo", stray.id, agree) is None
    assert stray.id in store.snapshots("demo")
    assert registry.remove_snapshot(settings, console, "demo", stray.id, agree) is not None
    assert "manifest.json" in plans[0]
    assert fix(store) == []


def test_the_canonicals_own_snapshot_is_not_removed_from_under_it(store: CanonicalStore) -> None:
    canonical = committed(store)
    settings, console = Settings(state_dir=store.dir, lock_wait_s=0), Console(quiet=True)
    with pytest.raises(UsageError, match="that of the canonical") as caught:
        registry.remove_snapshot(settings, console, "demo", canonical.snapshot, lambda _: True)
    assert caught.value.hint == "warmci canonical remove demo"
    with pytest.raises(UsageError, match="no snapshot"):
        registry.remove_snapshot(settings, console, "demo", new_id(), lambda _: True)
    (store.dir / "demo" / "canonical.json").write_text("{")
    with pytest.raises(InfraError, match="nobody knows"):
        registry.remove_snapshot(settings, console, "demo", canonical.snapshot, lambda _: True)
    assert store.snapshots("demo") == [canonical.snapshot]


@pytest.mark.parametrize("readable", [True, False])
def test_a_canonical_is_removed_with_its_data_and_only_after_a_yes(store: CanonicalStore, *, readable: bool) -> None:
    committed(store)
    if not readable:
        (store.dir / "demo" / "canonical.json").write_text("{")
    settings, console = Settings(state_dir=store.dir, lock_wait_s=0), Console(quiet=True)
    before = shape(store)
    assert registry.remove_canonical(settings, console, "demo", lambda _: False) is None
    assert shape(store) == before
    plan = registry.remove_canonical(settings, console, "demo", lambda _: True)
    assert plan is not None
    assert len(plan.snapshots) == 1
    assert ("unreadable" in plan.canonical) != readable
    assert [name for name in shape(store) if "content" in name or "canonical" in name] == []
    with pytest.raises(UsageError, match="there is no canonical"):
        registry.remove_canonical(settings, console, "demo", lambda _: True)


def _interrupted(store: CanonicalStore, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    canonical = committed(store)
    live = home / "volumes" / "stack_db" / "_data"
    live.mkdir(parents=True)
    (live / "content").write_text("live")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restore, "_swap", die)
        with pytest.raises(KeyboardInterrupt):
            restore.restore_volumes(store.dir, canonical, {"db": live}, stack="stack")
    return live


def test_an_interrupted_restore_is_settled(
    store: CanonicalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = _interrupted(store, tmp_path, monkeypatch)
    (planned,) = fix(store, dry_run=True)
    assert (planned.kind, planned.remedy) == ("restore", "carry it through")
    (refused,) = fix(store)
    assert (refused.repaired, "no Docker engine answers" in refused.what) == (False, True)
    assert (live / "content").read_text() == "live"
    monkeypatch.setattr(recipe_lock, "settle", lambda settings, recipe: restore.settle(settings.state_dir, recipe))
    assert [problem.is_over for problem in fix(store)] == [True]
    assert (live / "content").read_text() == "old"
    assert fix(store) == []


def test_every_other_command_stops_at_a_restore_it_cannot_settle(
    store: CanonicalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupted(store, tmp_path, monkeypatch)
    settings, console = Settings(state_dir=store.dir, lock_wait_s=0), Console(quiet=True)
    before = shape(store)
    with pytest.raises(InfraError, match="no Docker engine answers"):
        registry.remove_canonical(settings, console, "demo", lambda _: True)
    path = store.dir / "demo" / restore_journal.JOURNAL
    path.write_text("{")
    with pytest.raises(InfraError, match="interrupted"):
        registry.remove_canonical(settings, console, "demo", lambda _: True)
    (problem,) = fix(store)
    assert (problem.kind, problem.repaired, "mv " in problem.hint) == ("restore", False, True)
    assert set(shape(store)) == set(before)


@pytest.mark.parametrize("mode", [Mode.QUICK, Mode.COLD, Mode.DRILL])
def test_a_run_does_not_trust_a_snapshot_that_is_not_the_committed_one(store: CanonicalStore, mode: Mode) -> None:
    """Dirty is what quick refuses and what a cold run seeds anew."""
    canonical = committed(store)
    manifest = snapshot.snapshot_dir(store.dir, "demo", canonical.snapshot) / "manifest.json"
    run, console = Run(Settings(state_dir=store.dir), Console(quiet=True), Request("demo", mode)), Console(quiet=True)
    assert sound_canonical(store, "demo", console, has_app_lock=run._needs_app_lock()) == canonical
    manifest.write_text(manifest.read_text().replace("content", "c0ntent"))
    found = sound_canonical(store, "demo", console, has_app_lock=run._needs_app_lock())
    assert found is not None
    assert (found.state, "not the one that was committed" in found.reason) == ("dirty", True)
    assert store.load("demo") == found


def test_a_run_without_the_recipes_lock_marks_nothing(store: CanonicalStore, tmp_path: Path) -> None:
    """What it sees may just be being replaced."""
    canonical = committed(store)
    shutil.rmtree(snapshot.snapshot_dir(store.dir, "demo", canonical.snapshot))
    request = Request("demo", Mode.COLD, "", "7")
    run = Run(Settings(state_dir=store.dir, recipes_dir=tmp_path), Console(quiet=True), request)
    assert sound_canonical(store, "demo", Console(quiet=True), has_app_lock=run._needs_app_lock()) == canonical
    assert store.load("demo") == canonical


def test_a_dirty_canonical_is_not_for_quick(store: CanonicalStore) -> None:
    nowhere = cast("Repository", None)  # not looked at before the state
    dirty = committed(store).model_copy(update={"state": "dirty", "reason": "verify found 3 differences"})
    assert why_not(dirty, Ingress.DIRECT, "https", nowhere) == "the canonical is dirty: verify found 3 differences"


def test_what_a_rebuild_knows_of_dirt(store: CanonicalStore) -> None:
    committed(store)
    store.mark_dirty("demo", "a roll-back failed")
    (store.dir / "demo" / "canonical.json").write_text("{")
    fix(store)
    found = store.load("demo")
    assert found is not None
    assert (found.state, found.reason) == ("dirty", "a roll-back failed")


def test_what_cannot_be_read_now_is_not_rebuilt(store: CanonicalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(store)
    before = shape(store)
    real = pathlib.Path.read_bytes

    def read(path: pathlib.Path) -> bytes:
        if path == store.dir / "demo" / "canonical.json":
            raise OSError(errno.EMFILE, "Too many open files", str(path))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "read_bytes", read)
        (problem,) = fix(store)
    assert (problem.kind, problem.repaired, problem.remedy) == ("unreadable", False, "")
    assert shape(store) == before


@pytest.mark.parametrize(("code", "is_damage"), [(errno.EIO, True), (errno.EMFILE, False), (errno.EACCES, False)])
def test_an_error_that_may_pass_is_no_damage(
    store: CanonicalStore, monkeypatch: pytest.MonkeyPatch, code: int, *, is_damage: bool
) -> None:
    canonical = committed(store)

    def fail(*_: object, **__: object) -> list[str]:
        with disk("reading"):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(snapshot, "verify", fail)
    if is_damage:
        assert store.damage(canonical, read_data=True) != []
        return
    with pytest.raises(InfraError, match="reading"):
        store.damage(canonical, read_data=True)
    with pytest.raises(InfraError, match="reading"):
        registry.verify_canonical(
            Settings(state_dir=store.dir, lock_wait_s=0), Console(quiet=True), "demo", read_data=True
        )
    assert store.load("demo") == canonical


def test_a_link_in_the_place_of_a_recipe_leads_nowhere(store: CanonicalStore) -> None:
    canonical = committed(store)
    (store.dir / "alias").symlink_to("demo")
    assert store.homes() == store.recipes() == ["demo"]
    settings, console = Settings(state_dir=store.dir, lock_wait_s=0), Console(quiet=True)
    with pytest.raises(InfraError, match="alias is a link"):
        registry.remove_canonical(settings, console, "alias", lambda _: True)
    for act in (
        store.load,
        store.collect_garbage,
        store.remove,
        lambda name: snapshot.stage(store.dir, name, new_id()),
    ):
        with pytest.raises(InfraError, match="alias is a link"):
            act("alias")
    assert store.load("demo") == canonical
    assert [problem.what for problem in fsck.strange(store)] == [
        f"{store.dir}/alias is neither a recipe's nor a snapshot"
    ]


def test_anothers_canonical_is_not_removed_as_unreadable(store: CanonicalStore) -> None:
    canonical = committed(store)
    shutil.copytree(store.dir / "demo", store.dir / "copy")
    settings, console = Settings(state_dir=store.dir, lock_wait_s=0), Console(quiet=True)
    with pytest.raises(InfraError, match="is the canonical of demo"):
        registry.remove_canonical(settings, console, "copy", lambda _: True)
    assert store.load("demo") == canonical
    assert store.snapshots("copy") == [canonical.snapshot]


def test_odd_things_among_the_recipes_stop_nobody(store: CanonicalStore) -> None:
    canonical = committed(store)
    shutil.copytree(store.dir / "demo", store.dir / "demo~")
    (store.dir / "Notes").write_text("mine")
    (store.dir / "demo" / "snapshots" / "README").write_text("mine")
    (store.dir / "demo" / "snapshots" / "old").mkdir()
    save(store.dir, content="orphan")
    assert store.recipes() == ["demo"]
    assert store.snapshots("demo")[0] <= canonical.snapshot
    assert store.collect_garbage("demo") == []
    assert store.snapshots("demo") == [canonical.snapshot]
    found = registry.check_registry(
        Settings(state_dir=store.dir, lock_wait_s=0), Console(quiet=True), [], read_data=False, dry_run=False
    )
    assert {(problem.kind, problem.recipe) for problem in found} == {
        ("stray", name) for name in ("demo~", "Notes", "README", "old")
    }
    assert (store.dir / "demo" / "snapshots" / "README").read_text() == "mine"


def test_a_link_to_nowhere_is_not_absent(store: CanonicalStore) -> None:
    committed(store)
    path = store.dir / "demo" / "canonical.json"
    path.unlink()
    path.symlink_to("lost")
    with pytest.raises(InfraError, match="link to nowhere"):
        store.collect_garbage("demo")
    assert len(store.snapshots("demo")) == 1


def test_a_removal_takes_every_copy_of_the_secrets(store: CanonicalStore) -> None:
    committed(store)
    path = store.dir / "demo" / "canonical.json"
    path.write_bytes(path.read_bytes()[:-3])
    fix(store)
    assert len(list(path.parent.glob("canonical.json.unreadable-*"))) == 1
    assert store.remove("demo") == []
    assert not any("canary" in text.decode(errors="replace") for text in shape(store).values())


def test_an_interrupt_is_never_a_warning(store: CanonicalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(store)
    save(store.dir, content="orphan")

    def interrupt(*_: object) -> None:
        raise InterruptedRunError("interrupted by SIGINT")

    monkeypatch.setattr(snapshot, "discard", interrupt)
    with pytest.raises(InterruptedRunError):
        store.collect_garbage("demo")
    with pytest.raises(InterruptedRunError):
        fix(store)


def test_a_discard_that_was_killed_half_way_is_finished(store: CanonicalStore) -> None:
    manifest = save(store.dir)
    path = snapshot.snapshot_dir(store.dir, "demo", manifest.id)
    trash = store.dir / "demo" / "trash"
    trash.mkdir(exist_ok=True)
    path.rename(trash / manifest.id)
    snapshot.discard(store.dir, "demo", manifest.id)
    assert list(trash.iterdir()) == []


def test_a_loss_is_nine_tenths() -> None:
    def volume(files: int, size: int) -> VolumeSummary:
        return VolumeSummary(name="db", files=files, bytes=size)

    assert snapshot.shrunk([volume(100, 1000)], [volume(10, 100)]) == []
    assert len(snapshot.shrunk([volume(100, 1000)], [volume(9, 1000)])) == 1
    assert len(snapshot.shrunk([volume(100, 1000)], [volume(100, 99)])) == 1
    assert len(snapshot.shrunk([volume(1, 1)], [])) == 1
    assert snapshot.shrunk([], [volume(0, 0)]) == snapshot.shrunk([volume(0, 0)], []) == []
