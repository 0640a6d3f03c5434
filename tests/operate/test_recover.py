"""What dead commands left: mounts, found in the mount table, and restores into live volumes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from support.fake_engine import FakeEngine
from support.live_volumes import STACK, World
from warmci.base import process
from warmci.base.errors import InfraError
from warmci.base.labels import INSTANCE_LABEL, RECIPE_LABEL, RUN_LABEL
from warmci.base.names import new_id
from warmci.base.run_locks import claimed_run, run_lock
from warmci.base.settings import Settings
from warmci.operate import recover
from warmci.store import attach, recipe_lock, restore, restore_journal, snapshot
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from warmci.swarm.engine import Engine


class Host:
    def __init__(self, home: Path) -> None:
        self.world = World(home)
        self.settings = Settings(state_dir=self.world.state, lock_wait_s=0)
        self.store = CanonicalStore(self.world.state)
        self.store.commit(self.world.canonical)
        self.engine = FakeEngine(home / "docker")

    def recover(self, mine: str = "", say: Callable[[str], None] = lambda _: None) -> list[str]:
        engine: Engine = self.engine  # type: ignore[assignment]
        return recover.recover(engine, self.settings, "0" * 12, self.store, mine=mine, say=say)

    def attached(self, run: str) -> Path:
        source = snapshot.snapshot_dir(self.world.state, "demo", self.world.canonical.snapshot)
        shown = attach.attach(source, self.settings.runs_dir / run / "work" / "attach", ["db", "files"])
        assert shown.method == "overlay", shown.reason
        (shown.volumes["db"] / "written").write_text("by the run")
        return self.settings.runs_dir / run

    def mounts(self) -> list[Path]:
        return attach.leftover_mounts(self.world.state)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    found = Host(tmp_path)
    monkeypatch.setattr(recipe_lock, "Engine", lambda _: found.engine)
    before = os.umask(0o077)
    yield found
    os.umask(before)
    for mount in found.mounts():
        process.run(["umount", str(mount)], timeout_s=10)


@pytest.mark.integration
@pytest.mark.parametrize("lost", ["", "lock", "a mount on top"])
def test_mounts_of_a_dead_run_are_undone(host: Host, lost: str) -> None:
    run = new_id()
    with run_lock(host.settings.runs_dir / run):
        home = host.attached(run)
    if lost == "lock":
        (home / "lock").unlink()
    elif lost:
        process.run(["mount", "-t", "tmpfs", "none", str(home / "work" / "attach" / "m" / "db")], timeout_s=10)
    assert host.mounts() != []
    said = host.recover()
    assert any(line.startswith("mount ") and run in line for line in said)
    assert host.mounts() == []
    assert not (home / "work").exists()
    assert host.store.damage(host.world.canonical, read_data=True) == []
    assert host.recover() == []


@pytest.mark.integration
def test_who_holds_a_recipes_lock_is_not_made_to_wait_for_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def collect(_store: object, _settings: object, recipe: str) -> list[str]:
        asked.append(recipe)
        return []

    monkeypatch.setattr(recover, "_collect", collect)
    host.recover(mine="demo")
    assert asked == []
    host.recover()
    assert asked == ["demo"]


def test_mounts_of_a_live_run_stay(host: Host) -> None:
    run = new_id()
    with run_lock(host.settings.runs_dir / run):
        host.attached(run)
        before = host.mounts()
        assert host.recover() == []
        assert host.mounts() == before != []
    assert host.recover() != []
    assert host.mounts() == []


AT_HOME = "warm-demo_warmci_localhost"


def _left_by_a_dead_run(host: Host, volume: str, recipe: str = "demo") -> Path:
    """Its directory; the engine still has a volume of it. No `work`: pruning takes that of dead runs."""
    run = new_id()
    run_lock(host.settings.runs_dir / run).release()
    host.engine.make_volume(volume, {INSTANCE_LABEL: "0" * 12, RUN_LABEL: run, RECIPE_LABEL: recipe})
    return host.settings.runs_dir / run


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.parametrize("volume", [f"{AT_HOME}_data", f"{STACK}_db"])
def test_who_deploys_where_a_dead_run_was_waits_for_who_cleans_up_after_it(
    host: Host, beside: ThreadPoolExecutor, volume: str
) -> None:
    said: list[str] = []
    left = _left_by_a_dead_run(host, volume)
    with claimed_run(left) as dead:
        assert dead
        waiting = beside.submit(host.recover, "demo", said.append)
        with pytest.raises(TimeoutError):
            waiting.result(1.5)
        host.recover()  # whoever deploys somewhere else does not wait
        host.recover("another")
        assert said == [f"waiting: another command cleans up {volume} of run {left.name}"]
        host.engine.remove_volume(volume)
        assert waiting.result(5) == []  # what is left is on disk, and in nobody's way


def test_who_waits_goes_on_with_what_the_other_did_not_get_to(host: Host, beside: ThreadPoolExecutor) -> None:
    left = _left_by_a_dead_run(host, f"{AT_HOME}_data")
    with claimed_run(left):
        waiting = beside.submit(host.recover, "demo")
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
    assert waiting.result(5) == [f"volume {AT_HOME}_data of run {left.name}"]
    assert host.engine.volumes() == []


def test_who_waits_in_vain_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recover, "_OTHERS_S", 0.2)
    left = _left_by_a_dead_run(host, f"{AT_HOME}_data")
    with claimed_run(left), pytest.raises(InfraError, match=f"{AT_HOME}_data of run {left.name} is still there"):
        host.recover("demo")


def test_another_recipes_run_of_a_similar_name_is_not_waited_for(host: Host) -> None:
    left = _left_by_a_dead_run(host, f"{AT_HOME}_au_data", "another")
    with claimed_run(left):
        assert host.recover("demo") == []


def _interrupted(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restore, "_swap", die)
        with pytest.raises(KeyboardInterrupt):
            host.world.restore()


def test_an_interrupted_restore_is_carried_through_by_the_next_command(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupted(host, monkeypatch)
    snapshot_id = host.world.canonical.snapshot
    assert host.recover() == [f"an interrupted restore of demo was finished: {STACK} has snapshot {snapshot_id}"]
    assert host.world.is_restored()
    assert host.world.residue() == []
    assert host.recover() == []


def test_while_the_stack_is_deployed_it_waits_and_says_so(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _interrupted(host, monkeypatch)
    host.engine.running.append({"Names": ["/app"], "Labels": {"com.docker.stack.namespace": STACK}, "State": "running"})
    said = host.recover()
    assert len(said) == 1
    assert f"{STACK} is in use by container app (running)" in said[0]
    assert restore_journal.load(host.world.state, "demo") is not None
    assert host.world.contents() == {"live"}
    host.engine.running.clear()
    assert "was finished" in host.recover()[0]
