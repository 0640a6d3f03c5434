from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from support.damage import DAMAGE
from support.trees import canonical_of, save
from warmci.base.errors import InfraError, UsageError
from warmci.base.models import Mode
from warmci.base.names import new_id
from warmci.base.run_locks import run_lock
from warmci.base.state import open_state
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.store.manifest import SnapshotManifest


@pytest.fixture
def state(tmp_path: Path) -> Path:
    before = os.umask(0o077)
    found = open_state(tmp_path / "state").dir
    os.umask(before)
    return found


def committed(state: Path, content: str = "old") -> tuple[CanonicalStore, Path]:
    store = CanonicalStore(state)
    manifest = save(state, content=content)
    assert store.commit(canonical_of(manifest)) == []
    return store, state / "demo" / "canonical.json"


def files(state: Path) -> set[str]:
    return {str(path.relative_to(state)) for path in (state / "demo").rglob("*") if not path.is_dir()}


def test_there_is_none_before_the_first(state: Path) -> None:
    store = CanonicalStore(state)
    assert store.load("demo") is None
    assert store.recipes() == []
    assert store.remove("demo") == []
    assert store.collect_garbage("demo") == []
    store.mark_dirty("demo", "nothing to mark")
    assert store.load("demo") is None


def test_commit_replaces_the_old_and_drops_its_data(state: Path) -> None:
    store, path = committed(state, "old")
    old = store.load("demo")
    assert old
    manifest = save(state, content="new")
    new = canonical_of(manifest)
    assert store.commit(new) == []
    assert store.load("demo") == new
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not snapshot.snapshot_dir(state, "demo", old.snapshot).exists()
    assert snapshot.verify(state, "demo", new.snapshot) == []
    assert store.recipes() == ["demo"]


def test_a_canonical_is_not_committed_without_its_snapshot(state: Path) -> None:
    store, path = committed(state)
    before = path.read_bytes()
    manifest = save(state)
    with pytest.raises(InfraError, match="not the manifest"):
        store.commit(canonical_of(manifest, manifest_sha256="0" * 64))
    with pytest.raises(InfraError, match="No such file"):
        store.commit(canonical_of(manifest, snapshot=new_id()))
    assert path.read_bytes() == before


def test_old_data_that_stays_is_a_warning(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = committed(state)

    def fail(*_: object) -> None:
        raise InfraError("rm failed")

    monkeypatch.setattr(snapshot, "discard", fail)
    manifest = save(state, content="new")
    assert "rm failed" in store.commit(canonical_of(manifest))[0]
    found = store.load("demo")
    assert found
    assert found.snapshot == manifest.id


def test_notes_and_dirt_change_nothing_else(state: Path) -> None:
    store, _ = committed(state)
    before = store.load("demo")
    assert before
    store.note_verdict("demo", Mode.QUICK, "pass at 12:00")
    store.note_verdict("demo", Mode.COLD, "fail at 13:00")
    store.mark_dirty("demo", "roll-back failed")
    after = store.load("demo")
    assert after
    assert (after.last_quick, after.last_cold, after.state, after.reason) == (
        "pass at 12:00",
        "fail at 13:00",
        "dirty",
        "roll-back failed",
    )
    reverted = {"last_quick": "", "last_cold": "", "state": "good", "reason": ""}
    assert after.model_copy(update=reverted) == before


def test_remove_forgets_first_and_then_deletes(state: Path) -> None:
    store, path = committed(state)
    assert store.remove("demo") == []
    assert not path.exists()
    assert files(state) == set()


def test_no_prefix_of_the_file_is_taken_for_none(state: Path) -> None:
    store, path = committed(state)
    whole = path.read_bytes()
    kept = files(state)
    for length in range(len(whole) - 1):  # without its last byte, a newline, it is still complete
        path.write_bytes(whole[:length])
        with pytest.raises(InfraError, match=r"canonical\.json") as caught:
            store.load("demo")
        assert caught.value.hint == "warmci canonical fsck demo"
        assert "canary-5eCret" not in f"{caught.value} {caught.value.__cause__!r}"
        if not length % 50:
            with pytest.raises(InfraError):
                store.collect_garbage("demo")
            with pytest.raises(InfraError):
                store.commit(canonical_of(save_once(state)))
    assert kept <= files(state)


def save_once(state: Path) -> SnapshotManifest:
    """Any finished snapshot but the canonical's."""
    return save(state)


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_an_error_and_never_none(state: Path, case: str) -> None:
    store, path = committed(state)
    path.write_bytes(DAMAGE[case](path.read_bytes()))
    kept = files(state)
    with pytest.raises(InfraError, match=r"canonical\.json") as caught:
        store.load("demo")
    assert caught.value.hint == "warmci canonical fsck demo"
    assert "canary-5eCret" not in str(caught.value)
    with pytest.raises(InfraError):
        store.collect_garbage("demo")
    assert files(state) == kept


def test_a_canonical_that_is_a_directory_or_a_loop_is_an_error(state: Path) -> None:
    store, path = committed(state)
    path.unlink()
    path.symlink_to("canonical.json")
    with pytest.raises(InfraError):
        store.load("demo")
    path.unlink()
    path.mkdir()
    with pytest.raises(InfraError):
        store.load("demo")


def test_recipes_cannot_leave_the_directory(state: Path) -> None:
    for name in ("../x", ".runs", "", "A"):
        with pytest.raises(UsageError):
            CanonicalStore(state).load(name)


def test_garbage_is_what_nothing_names(state: Path) -> None:
    store, _ = committed(state)
    kept = files(state)
    found = store.load("demo")
    assert found
    save(state, content="orphan")
    abandoned = snapshot.stage(state, "demo", new_id(), run=new_id())
    (snapshot.make_volume(abandoned, "data") / "file").write_text("x")
    (state / "demo" / "staging" / f".{new_id()}").mkdir()
    (state / "demo" / "trash").mkdir(exist_ok=True)
    (state / "demo" / "trash" / new_id()).mkdir()
    (state / "demo" / ".canonical.json.77.tmp").write_text("half")
    (state / "demo" / "snapshots" / found.snapshot / ".canonical.json.78.tmp").write_text("half")
    elsewhere = state.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".my.json.bak.tmp").write_text("of somebody else")
    (state / "demo" / "snapshots" / "link").symlink_to(elsewhere)
    assert store.collect_garbage("demo") == []
    assert list(elsewhere.iterdir())
    (state / "demo" / "snapshots" / "link").unlink()
    assert files(state) == kept
    for part in ("staging", "trash"):
        assert list((state / "demo" / part).iterdir()) == []


def test_a_live_run_keeps_its_staging(state: Path) -> None:
    store, _ = committed(state)
    run = new_id()
    with run_lock(state / ".runs" / run):
        owned = snapshot.stage(state, "demo", new_id(), run=run)
        same_id = snapshot.stage(state, "demo", run)
        named = snapshot.stage(state, "demo", new_id())
        assert store.collect_garbage("demo", keep=[named.name]) == []
        assert all(path.exists() for path in (owned, same_id, named))
    assert store.collect_garbage("demo") == []
    assert not any(path.exists() for path in (owned, same_id, named))


def test_an_unreadable_manifest_stops_all_collection(state: Path) -> None:
    store, _ = committed(state)
    orphan = save(state, content="orphan")
    abandoned = snapshot.stage(state, "demo", new_id())
    (snapshot.snapshot_dir(state, "demo", orphan.id) / "manifest.json").write_text("{")
    with pytest.raises(InfraError, match=r"manifest\.json"):
        store.collect_garbage("demo")
    assert abandoned.exists()
    assert snapshot.snapshot_dir(state, "demo", orphan.id).exists()


def test_an_interrupted_restore_stops_all_collection(state: Path) -> None:
    store, _ = committed(state)
    orphan = save(state, content="orphan")
    (state / "demo" / "restore.json").write_text("{}")
    assert "restore" in store.collect_garbage("demo")[0]
    assert snapshot.verify(state, "demo", orphan.id) == []


def test_garbage_that_stays_is_a_warning(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = committed(state)
    first = snapshot.stage(state, "demo", new_id())

    def fail(_: Path) -> None:
        raise InfraError("rm failed")

    monkeypatch.setattr(snapshot, "remove", fail)
    assert store.collect_garbage("demo") == [f"{first} is still there: rm failed"]
