"""Which volumes an operator's restore goes to, and what it leaves when it fails."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.fake_engine import FakeEngine, container
from support.trees import canonical_of, save
from warmci.base import fs
from warmci.base.errors import InfraError
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.operate import restore_app
from warmci.report.console import Console
from warmci.store import recipe_lock
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warmci.operate.restore_app import RestorePlan

STACK = "warm-demo_example"


class Place:
    def __init__(self, home: Path) -> None:
        self.settings = Settings(state_dir=home / "state", lock_wait_s=0)
        self.store = CanonicalStore(open_state(self.settings.state_dir).dir)
        self.store.commit(canonical_of(save(self.store.dir)))
        self.engine = FakeEngine(home / "docker")
        self.plans: list[RestorePlan] = []

    def restore(self, *, stack: str = "", agree: bool = True) -> RestorePlan | None:
        def answer(plan: RestorePlan) -> bool:
            self.plans.append(plan)
            return agree

        return restore_app.restore_app(self.settings, Console(quiet=True), "demo", stack, answer)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    before = os.umask(0o077)
    found = Place(tmp_path)
    for module in (restore_app, recipe_lock):
        monkeypatch.setattr(module, "Engine", lambda _: found.engine)
    yield found
    os.umask(before)


def test_the_canonicals_own_stack_gets_its_data(place: Place) -> None:
    db, files = (place.engine.volume(STACK, name) for name in ("db", "files"))
    extra = place.engine.volume(STACK, "extra")
    (extra / "kept").write_text("x")
    (db / "content").write_text("live")
    assert place.restore(agree=False) is None
    assert (db / "content").read_text() == "live"
    plan = place.restore()
    assert plan is not None
    assert plan.made == ()
    assert plan.notes[0] == f"volume {STACK}_extra is not in the snapshot and stays as it is"
    assert "db_password" in plan.notes[1]
    assert "canary" not in plan.model_dump_json()
    remedy = f"docker volume rm {STACK}_db {STACK}_files"
    assert plan.notes[2] == (
        f"quick runs of demo are refused while these volumes are there; once they are not needed: {remedy}"
    )
    assert [(path / "content").read_text() for path in (db, files)] == ["data", "data"]
    assert (extra / "kept").exists()


def test_a_stack_of_its_own_is_in_no_runs_way(place: Place) -> None:
    for name in ("db", "files"):
        place.engine.volume("elsewhere", name)
    plan = place.restore(stack="elsewhere")
    assert plan is not None
    assert not any("quick" in note for note in plan.notes)


def test_a_recipe_that_names_its_volumes_itself_gets_them_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"db": f"{STACK}_database", "files": f"{STACK}_files"}
    monkeypatch.setattr(restore_app, "engine_names", lambda *_: own)
    db, files = (place.engine.volume(STACK, name) for name in ("database", "files"))
    plan = place.restore()
    assert plan is not None
    assert plan.made == ()
    assert [(path / "content").read_text() for path in (db, files)] == ["data", "data"]
    assert {volume["Name"] for volume in place.engine.volumes()} == set(own.values())
    assert list(place.settings.runs_dir.iterdir()) == []


def test_lost_volumes_are_made_and_gone_again_when_it_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore_app, "engine_names", lambda *_: {})

    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(fs, "sync_file_system", fail)
        with pytest.raises(InfraError, match="Input/output"):
            place.restore()
    assert place.engine.volumes() == []
    plan = place.restore()
    assert plan is not None
    assert plan.made == (f"{STACK}_db", f"{STACK}_files")
    assert {volume["Labels"]["com.docker.stack.namespace"] for volume in place.engine.volumes()} == {STACK}


def test_a_deployed_stack_is_left_alone(place: Place) -> None:
    for name in ("db", "files"):
        place.engine.volume(STACK, name)
    place.engine.running.append(container("app", STACK, state="running"))
    with pytest.raises(InfraError, match=f"{STACK} is in use by container app"):
        place.restore()
    assert place.plans == []
