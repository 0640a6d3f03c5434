"""A restore into live volumes: the old data or the new, never a mix, wherever it was interrupted."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from support.hostile_trees import HOSTILE
from support.live_volumes import STACK, World
from support.trees import canonical_of, plant_deep, plant_torture, save
from warmci.base import fs, interrupts, process
from warmci.base.errors import InfraError, InterruptedRunError
from warmci.base.names import new_id
from warmci.store import restore, restore_journal, scan, snapshot
from warmci.store.copying import copying
from warmci.store.restore_journal import RestoredVolume, RestoreJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_live_volumes_become_the_canonical_in_everything(world: World) -> None:
    world.restore()
    assert world.is_restored()
    assert world.residue() == []
    assert snapshot.verify(world.state, "demo", world.canonical.snapshot) == []
    world.restore()
    assert world.is_restored()


def test_without_an_exchange_of_names_it_is_two_renames(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "exchange", lambda *_: False)
    world.restore()
    assert world.is_restored()
    assert world.residue() == []


class _KilledError(BaseException):
    """As kill -9: nothing of ours runs after it, so neither do clean-ups (BaseException passes them by)."""


def _kill_at(monkeypatch: pytest.MonkeyPatch, point: int) -> Callable[[], int]:
    """Die before the point-th mutating step; returns how many steps there were."""
    count = 0
    places = [(restore, "write"), (restore, "copying"), (restore, "remove"), (restore, "forget")]
    places += [(fs, "sync_file_system"), (fs, "exchange"), (fs, "rename_durable")]
    for module, name in places:
        real = getattr(module, name)

        def step(*args: object, real: Callable[..., object] = real, **more: object) -> object:
            nonlocal count
            count += 1
            if count == point:
                raise _KilledError
            return real(*args, **more)

        monkeypatch.setattr(module, name, step)
    return lambda: count


@pytest.mark.parametrize("exchange", [True, False])
def test_whoever_comes_next_undoes_or_finishes(tmp_path: Path, *, exchange: bool) -> None:
    points, ends = 0, set()
    while True:
        points += 1
        (tmp_path / str(points)).mkdir()
        world = World(tmp_path / str(points))
        with pytest.MonkeyPatch.context() as patch:
            # Power stays on here; what syncs are for is tested where it is cut.
            patch.setattr(fs, "sync_file_system", lambda _: None)
            patch.setattr(fs, "fsync_dir", lambda _: None)
            if not exchange:
                patch.setattr(fs, "exchange", lambda *_: False)
            steps = _kill_at(patch, points)
            try:
                world.restore()
            except _KilledError:
                pass
            else:
                assert steps() == points - 1
                break
        journal = restore_journal.load(world.state, "demo")
        assert journal is not None or len(world.contents()) == 1, "without a journal the volumes are to be trusted"
        said = restore.settle(world.state, "demo")
        assert world.contents() in ({"live"}, {"canonical"}), points
        assert world.contents() == {"live"} or world.is_restored()
        assert world.residue() == [], points
        ends.add((world.contents().pop(), said.rpartition(" was ")[2].split(":")[0]))
        assert restore.settle(world.state, "demo") == ""
        world.restore()
        assert world.is_restored()
    assert points > 12
    assert {("live", "undone"), ("canonical", "finished")} <= ends


def test_a_failure_before_the_swap_leaves_no_trace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(fs, "sync_file_system", fail)
    with pytest.raises(InfraError, match="Input/output error"):
        world.restore()
    assert world.contents() == {"live"}
    assert world.residue() == []


def test_a_damaged_snapshot_is_never_restored(world: World) -> None:
    path = snapshot.snapshot_dir(world.state, "demo", world.canonical.snapshot) / "volumes" / "db" / "content"
    before = path.stat()
    path.write_text("canonicaL")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InfraError, match="nothing was restored") as caught:
        world.restore()
    assert "warmci snapshot verify demo --read-data" in str(caught.value.hint)
    assert world.contents() == {"live"}
    assert world.residue() == []


def test_nothing_is_swapped_under_a_user_that_came_meanwhile(world: World) -> None:
    calls: list[str] = []

    def refuse(journal: RestoreJournal) -> None:
        calls.append(journal.phase)
        if len(calls) == 2:
            raise InfraError("a container came")

    with pytest.raises(InfraError, match="came"):
        restore.restore_volumes(world.state, world.canonical, world.targets, stack=STACK, refuse_use=refuse)
    assert calls == ["stage", "swap"]
    assert world.contents() == {"live"}
    assert world.residue() == []


def _interrupted(world: World, phase: str = "swap") -> RestoreJournal:
    """As a kill leaves it between the journal of the swap and the first swap."""

    def die(*_: object) -> None:
        raise _KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restore, "_swap" if phase == "swap" else "_staged", die)
        with pytest.raises(_KilledError):
            world.restore()
    found = restore_journal.load(world.state, "demo")
    assert found is not None
    assert found.phase == phase
    return found


def _refuse(_: RestoreJournal) -> None:
    raise InfraError("deployed")


def test_a_restore_is_not_carried_through_under_a_user(world: World) -> None:
    _interrupted(world)
    with pytest.raises(InfraError, match="deployed"):
        restore.settle(world.state, "demo", _refuse)
    assert restore_journal.load(world.state, "demo") is not None
    assert world.contents() == {"live"}
    assert "finished" in restore.settle(world.state, "demo")
    assert world.is_restored()


def test_a_stage_is_undone_even_under_a_user(world: World) -> None:
    """The live volumes were never touched, so whoever uses them is right to."""
    _interrupted(world, "stage")
    assert "undone" in restore.settle(world.state, "demo", _refuse)
    assert world.contents() == {"live"}
    assert world.residue() == []


@pytest.mark.parametrize("what", ["replaced", "gone", "staged is gone"])
def test_a_volume_that_is_neither_is_not_touched(world: World, what: str) -> None:
    journal = _interrupted(world)
    path = world.targets["db"]
    if what == "replaced":
        path.rename(path.with_name("kept"))
        path.mkdir()
    elif what == "gone":
        snapshot.remove(path.parent)
    else:
        snapshot.remove(journal.new(journal.volumes[0]))
    with pytest.raises(InfraError, match="neither the one before the restore nor the restored one") as caught:
        restore.settle(world.state, "demo")
    assert str(path) in str(caught.value.hint)
    assert restore_journal.load(world.state, "demo") is not None


@pytest.mark.parametrize("text", ["", "{", "{}", "\0" * 50, "null"])
def test_an_unreadable_journal_touches_nothing(world: World, text: str) -> None:
    _interrupted(world)
    (world.state / "demo" / "restore.json").write_text(text)
    with pytest.raises(InfraError, match="interrupted") as caught:
        restore.settle(world.state, "demo")
    assert "mv " in str(caught.value.hint)
    assert world.contents() == {"live"}
    assert [path.name.endswith(".new") for path in world.targets["db"].parent.glob(".warmci*")] == [True]


def test_a_journal_reads_back(world: World) -> None:
    journal = _interrupted(world)
    text = (world.state / "demo" / "restore.json").read_text()
    assert RestoreJournal.model_validate_json(text) == journal
    assert {volume["name"]: volume["path"] for volume in json.loads(text)["volumes"]} == {
        name: str(path) for name, path in world.targets.items()
    }


@pytest.mark.integration
def test_an_immutable_file_is_told_before_anything_is_touched(world: World) -> None:
    path = world.targets["db"] / "content"
    process.run(["chattr", "+i", str(path)], timeout_s=10)
    try:
        with pytest.raises(InfraError, match="content is immutable") as caught:
            world.restore()
        assert "chattr -R -i" in str(caught.value.hint)
        assert world.residue() == []
    finally:
        process.run(["chattr", "-i", str(path)], timeout_s=10)


@pytest.mark.integration
@pytest.mark.parametrize("where", ["the volume itself", "a directory in it"])
def test_a_mount_in_a_live_volume_is_refused(world: World, where: str) -> None:
    point = world.targets["db"]
    if where != "the volume itself":
        point = point / "mnt"
        point.mkdir()
    process.run(["mount", "-t", "tmpfs", "none", str(point)], timeout_s=10)
    try:
        with pytest.raises(InfraError, match=r"mounted|another file system"):
            world.restore()
        assert [name for name in world.residue() if "warmci" in name] == []
    finally:
        process.run(["umount", str(point)], timeout_s=10)


@pytest.mark.integration
def test_a_container_anywhere_is_seen_by_its_mount(world: World, tmp_path: Path) -> None:
    """A bind mount in another mount namespace, as a container has it."""
    inside = tmp_path / "inside"
    inside.mkdir()
    script = f"mount --bind {world.targets['db']} {inside} && echo ready && sleep 60"
    other = process.start(["unshare", "--mount", "--propagation", "private", "sh", "-c", script])
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(InfraError, match="in use"):
            world.restore()
        assert world.contents() == {"live"}
        assert world.residue() == []
    finally:
        process.stop(other)
        for pipe in (other.stdin, other.stdout, other.stderr):
            if pipe is not None:
                pipe.close()


def _hostile_world(home: Path, plant: Callable[[Path], object]) -> World:
    world = World(home)
    staging = snapshot.stage(world.state, "demo", new_id())
    root = snapshot.make_volume(staging, "db")
    (root / "content").write_text("canonical")
    plant(root)
    world.canonical = canonical_of(snapshot.finish(staging))
    world.targets = {"db": world.targets["db"]}
    return world


@pytest.mark.parametrize("case", [case for case in HOSTILE if case != "deep"])
def test_hostile_trees_are_restored_as_they_are(tmp_path: Path, case: str) -> None:
    world = _hostile_world(tmp_path, HOSTILE[case])
    HOSTILE[case](world.targets["db"])
    world.restore()
    assert world.is_restored()
    assert world.residue() == []


def test_a_tree_too_deep_for_cp_is_an_error_in_words(tmp_path: Path) -> None:
    world = _hostile_world(tmp_path, lambda root: plant_deep(root, 25, "d" * 200))
    try:
        with pytest.raises(InfraError, match="name too long"):
            world.restore()
        assert world.contents() == {"live"}
        assert world.residue() == []
    finally:
        snapshot.remove(world.state)


def test_a_link_planted_in_the_live_volume_leads_nowhere(world: World, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "content").write_text("precious")
    live = world.targets["db"]
    (live / "content").unlink()
    (live / "content").symlink_to(precious / "content")
    (live / "extra0").symlink_to(precious)
    world.restore()
    assert world.is_restored()
    assert (precious / "content").read_text() == "precious"


def test_a_copy_to_look_at_is_private_and_proved(world: World, tmp_path: Path) -> None:
    plant_torture(world.targets["db"])
    target = tmp_path / "look"
    before = os.umask(0)
    restore.copy_out(world.state, world.canonical, target)
    os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o700
    assert {path.name: (path / "content").read_text() for path in target.iterdir()} == dict.fromkeys(
        ("db", "files"), "canonical"
    )
    assert world.contents() == {"live"}
    for taken in (target, tmp_path / "dangling"):
        if not taken.exists():
            taken.symlink_to(tmp_path / "nowhere")
        with pytest.raises(InfraError, match="exists"):
            restore.copy_out(world.state, world.canonical, taken)
    assert not (tmp_path / "nowhere").exists()


def test_a_copy_that_fails_leaves_no_directory(world: World, tmp_path: Path) -> None:
    (snapshot.snapshot_dir(world.state, "demo", world.canonical.snapshot) / "volumes" / "files" / "content").write_text(
        ""
    )
    with pytest.raises(InfraError, match="is damaged in"):
        restore.copy_out(world.state, world.canonical, tmp_path / "look")
    assert not (tmp_path / "look").exists()


def test_a_copy_that_is_not_the_snapshot_is_not_restored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its data alone: size and times are as they should be."""
    real = copying

    @contextmanager
    def broken(source: Path, target: Path, **more: Any) -> Iterator[None]:
        with real(source, target, **more):
            yield
        file, facts = target / "content", (target / "content").stat()
        file.write_text("CANONICAL")
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    monkeypatch.setattr(restore, "copying", broken)
    with pytest.raises(
        InfraError, match=r"the copy of volume db differs in 1 places: content: sha256 is .* nothing was"
    ):
        world.restore()
    assert world.contents() == {"live"}
    assert world.residue() == []


def test_every_state_of_a_swap_is_known_by_inodes(world: World) -> None:
    """Swapped already, both ways half done, not begun: each ends swapped."""
    journal = _interrupted(world)
    (volume, other) = journal.volumes
    assert fs.exchange(volume.path, journal.new(volume))
    fs.rename_durable(other.path, journal.trash(other))
    assert restore.settle(world.state, "demo") != ""
    assert world.is_restored()
    assert world.residue() == []


def test_marks_of_new_volumes_count(world: World) -> None:
    """A file that somebody puts into a volume between swap and look is told, and does not stand in the way."""
    journal = _interrupted(world)
    new = journal.new(journal.volumes[0])
    (new / "smuggled").write_text("x")
    assert len(scan.marks(new)) == journal.volumes[0].objects + 1
    said = restore.settle(world.state, "demo")
    assert f"volume db of {STACK} has {journal.volumes[0].objects + 1} files and directories" in said
    assert (world.targets["db"] / "smuggled").exists()
    assert world.residue() == []


def test_a_volume_record_keeps_its_path(tmp_path: Path) -> None:
    volume = RestoredVolume(name="db", path=tmp_path / "_data", live_inode=1)
    assert RestoredVolume.model_validate_json(volume.model_dump_json()) == volume


def test_only_the_committed_manifest_is_restored(world: World, tmp_path: Path) -> None:
    """Data and manifest changed together agree with each other, not with the canonical."""
    other = save(world.state, content="another")
    home = snapshot.snapshot_dir(world.state, "demo", world.canonical.snapshot)
    snapshot.remove(home)
    snapshot.snapshot_dir(world.state, "demo", other.id).rename(home)
    with pytest.raises(InfraError, match="not the one that was committed"):
        world.restore()
    with pytest.raises(InfraError, match="not the one that was committed"):
        restore.copy_out(world.state, world.canonical, tmp_path / "look")
    assert world.contents() == {"live"}
    assert not (tmp_path / "look").exists()


def test_an_interrupt_during_the_swap_waits_and_says_what_is_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fs.exchange

    def interrupted(one: Path, other: Path) -> bool:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        return real(one, other)

    monkeypatch.setattr(fs, "exchange", interrupted)
    handlers = {number: signal.getsignal(number) for number in interrupts._SIGNALS}
    interrupts.install()
    try:
        with pytest.raises(InterruptedRunError, match="but the restore is complete"):
            world.restore()
        with interrupts.shielded():
            pass  # nothing is left over for the next one
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert world.is_restored()
    assert world.residue() == []


def test_a_journal_of_another_recipe_or_version_touches_nothing(world: World) -> None:
    _interrupted(world)
    path = world.state / "demo" / "restore.json"
    text = path.read_text()
    for old, new, said in (
        ('"recipe": "demo"', '"recipe": "other"', "restore of other"),
        ('"schema_version": 1', '"schema_version": 2', "another version"),
        ('"id": "', '"id": "../', "not the id of a run"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(InfraError, match=said):
            restore.settle(world.state, "demo")
    path.unlink()
    path.symlink_to("lost")
    with pytest.raises(InfraError, match="link to nowhere"):
        restore.settle(world.state, "demo")
    assert world.contents() == {"live"}


def test_a_journal_that_cannot_be_written_leaves_no_copies(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = restore_journal.write

    def full(state_dir: Path, journal: RestoreJournal) -> None:
        if journal.phase == "swap":
            raise InfraError("no space")
        real(state_dir, journal)

    monkeypatch.setattr(restore, "write", full)
    with pytest.raises(InfraError, match="no space"):
        world.restore()
    assert world.contents() == {"live"}
    assert world.residue() == []
