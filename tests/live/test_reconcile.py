"""What the reconciler does when something goes wrong at the worst moment; the stack is a fake, the disk is real."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from warmci.base.errors import BusyError, InfraError, InterruptedRunError, RecipeFailedError, UsageError
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.live import account, choice, keycloak_json, lock
from warmci.live import reconcile as live_reconcile
from warmci.live.keycloak_json import DeploymentRecord, LiveRecord
from warmci.live.plan import Action
from warmci.live.reconcile import Reconciler
from warmci.recipe.repository import Release
from warmci.report import alerts
from warmci.report.console import Console
from warmci.sso import keycloak_app
from warmci.sso.admin_rest import KeycloakAccess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from warmci.live.choice import Converged

URL = "http://warm-keycloak.warmci.localhost:20000"
OLD = Release("1.0.0+26.7.3", "a" * 40)
NEW = Release("1.0.1+26.7.3", "b" * 40)
MAJOR = Release("2.0.0+26.7.3", "c" * 40)
ACCESS = KeycloakAccess(url=URL, client_id="warmci", client_secret=SecretStr("s"))


class FakeStack:
    """Deploys nothing; remembers what would run, on whose data."""

    def __init__(self) -> None:
        self.runs: tuple[str, str] | None = None
        self.broken: dict[str, Exception] = {}
        self.without_images: dict[str, Exception] = {}
        self.killed: list[str] = []

    def runs_as(self, record: LiveRecord) -> bool:
        return self.runs == (record.commit, record.generation)

    def provide(self, generation: Path, commit: str, _kept: DeploymentRecord, _url: str) -> None:
        (generation / "recipe").mkdir(parents=True)
        if commit in self.without_images:
            raise self.without_images[commit]

    def deploy(
        self, generation: Path, commit: str, _kept: DeploymentRecord | None, _url: str = ""
    ) -> tuple[keycloak_app.Provider, DeploymentRecord]:
        (generation / "volumes" / "data").mkdir(parents=True, exist_ok=True)
        if commit in self.broken:
            raise self.broken[commit]
        self.runs = (commit, generation.name)
        version = next(release.version for release in (OLD, NEW, MAJOR) if release.commit == commit)
        kept = DeploymentRecord.model_validate({"env_commit": commit, "secrets": {"admin_password_v1": "p"}})
        return keycloak_app.Provider(ACCESS, "warm-keycloak.warmci.localhost", version), kept

    def undeploy(self, *, keep_data: bool) -> list[str]:
        self.runs = None
        return self.killed if keep_data else []


class World:
    def __init__(self, settings: Settings, stack: FakeStack) -> None:
        self.settings, self.stack = settings, stack
        self.releases = [OLD]
        self.notes: dict[str, str] = {}

    def reconcile(self, accept: str = "") -> Converged:
        state = open_state(self.settings.state_dir, floor_bytes=0)
        return Reconciler(self.settings, Console(quiet=True), state).converge(accept)

    @property
    def record(self) -> LiveRecord:
        found = keycloak_json.load_live(self.settings)
        assert found is not None
        return found

    def sound(self) -> None:
        """What the record names is on disk, whole, and runs; nothing else is there."""
        assert [path.name for path in keycloak_json.generations(self.settings)] == [self.record.generation]
        home = keycloak_json.generation_dir(self.settings, self.record.generation)
        assert (home / "volumes" / "data" / "realms").read_text() == "all of them"
        assert keycloak_json.load_deployment(home).plain_secrets()
        assert self.stack.runs_as(self.record)

    def alert(self) -> str:
        return " ".join(item.message for item in alerts.standing(self.settings))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    facts: dict[str, Any] = {"state_dir": open_state(tmp_path / "state", floor_bytes=0).dir}
    stack = FakeStack()
    world = World(Settings(**facts), stack)
    monkeypatch.setattr(live_reconcile, "Engine", lambda _: None)
    monkeypatch.setattr(live_reconcile, "LiveStack", lambda *_: stack)
    monkeypatch.setattr(live_reconcile, "take_ingress", lambda *_: None)
    monkeypatch.setattr(choice, "candidates", lambda *_: world.releases)
    monkeypatch.setattr(choice, "release_notes", lambda *_: world.notes)
    monkeypatch.setattr(keycloak_app, "unhealthy", lambda *_: None if stack.runs else "nothing answers")
    monkeypatch.setattr(keycloak_app, "unusable", lambda *_: None)
    monkeypatch.setattr(account, "make", lambda *_, **__: ACCESS)
    monkeypatch.setattr(Reconciler, "_realms", lambda *_: {"ci-kept"})
    return world


@pytest.fixture
def running(world: World) -> World:
    assert world.reconcile().action is Action.DEPLOY
    home = keycloak_json.generation_dir(world.settings, world.record.generation)
    (home / "volumes" / "data" / "realms").write_text("all of them")
    world.sound()
    return world


def test_upgrade_and_nothing_to_do(running: World) -> None:
    running.releases = [OLD, NEW]
    assert running.reconcile().action is Action.UPGRADE
    assert running.record.version == NEW.version
    running.sound()
    assert running.reconcile().action is Action.UNCHANGED
    assert running.alert() == ""


@pytest.mark.parametrize("failure", [InfraError("no space"), InterruptedRunError("SIGTERM"), OSError(5, "EIO")])
@pytest.mark.parametrize("recorded", [True, False])
def test_an_upgrade_whose_last_write_fails(
    running: World, monkeypatch: pytest.MonkeyPatch, failure: Exception, recorded: bool
) -> None:
    """Whether the disk took it or not: what the record names is there, and runs."""
    running.releases = [OLD, NEW]
    real = keycloak_json.save_live

    def save(settings: Settings, record: LiveRecord) -> None:
        if record.version == NEW.version:
            if recorded:
                real(settings, record)
            raise failure
        real(settings, record)

    monkeypatch.setattr(live_reconcile, "save_live", save)
    with pytest.raises((InfraError, InterruptedRunError, OSError)):
        running.reconcile()
    assert running.record.version == (NEW.version if recorded else OLD.version)
    running.sound()
    assert running.record.failed == {}, "the disk's fault is not the version's"


def test_a_new_version_that_fails_is_rolled_back_and_remembered(running: World) -> None:
    running.releases = [OLD, NEW]
    running.stack.broken[NEW.commit] = RecipeFailedError("it crash-loops")
    with pytest.raises(
        InfraError, match=r"1\.0\.1\+26\.7\.3 failed: it crash-loops; 1\.0\.0\+26\.7\.3 is back"
    ) as caught:
        running.reconcile()
    assert "--accept 1.0.1+26.7.3" in (caught.value.hint or "")
    assert "it crash-loops" in running.alert()
    running.sound()
    assert running.reconcile().action is Action.HOLD
    running.stack.broken.clear()
    assert running.reconcile(NEW.version).action is Action.UPGRADE
    assert running.record.failed == {}
    running.sound()


def test_when_the_old_one_does_not_come_back_either_the_next_pass_only_starts_it(running: World) -> None:
    running.releases = [OLD, NEW]
    running.stack.broken = {NEW.commit: RecipeFailedError("bad"), OLD.commit: RecipeFailedError("bad too")}
    with pytest.raises(InfraError, match="does not come back: bad too"):
        running.reconcile()
    assert NEW.version in running.record.failed
    running.stack.broken.clear()
    again = running.reconcile()
    assert (again.action, again.version) == (Action.HOLD, OLD.version)
    running.sound()


def test_data_that_is_not_at_rest_is_not_the_new_versions_fault(running: World) -> None:
    running.releases = [OLD, NEW]
    running.stack.killed = ["keycloak_app"]
    with pytest.raises(InfraError, match="not at rest"):
        running.reconcile()
    running.sound()
    assert running.record.failed == {}
    running.stack.killed = []
    assert running.reconcile().action is Action.UPGRADE


def test_no_room_for_a_copy_stops_nothing(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise InfraError("no space: a copy of Keycloak's data")

    def never(*_: object, **__: object) -> list[str]:
        raise AssertionError("it was stopped")

    running.releases = [OLD, NEW]
    monkeypatch.setattr(live_reconcile, "require_room", full)
    monkeypatch.setattr(running.stack, "undeploy", never)
    with pytest.raises(InfraError, match="no space"):
        running.reconcile()
    running.sound()
    assert "no space" in running.alert()


@pytest.mark.parametrize(
    "failure",
    [InfraError("image k:2 cannot be pulled"), RecipeFailedError("no such image: k:2"), InterruptedRunError("x")],
)
def test_images_that_do_not_come_stop_nothing_and_are_not_remembered(
    running: World, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def never(*_: object, **__: object) -> list[str]:
        raise AssertionError("it was stopped")

    running.releases = [OLD, NEW]
    running.stack.without_images[NEW.commit] = failure
    with monkeypatch.context() as patch:
        patch.setattr(running.stack, "undeploy", never)
        with pytest.raises((InfraError, InterruptedRunError)):
            running.reconcile()
    running.sound()
    assert running.record.failed == {}
    assert (str(failure) in running.alert()) != isinstance(failure, InterruptedRunError)
    running.stack.without_images.clear()
    assert running.reconcile().action is Action.UPGRADE
    running.sound()


def test_realms_that_are_lost_are_a_reason_to_go_back(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    running.releases = [OLD, NEW]
    answers = iter([{"ci-kept"}, set()])
    monkeypatch.setattr(Reconciler, "_realms", lambda *_: next(answers))
    with pytest.raises(InfraError, match="no longer has realm ci-kept"):
        running.reconcile()
    running.sound()
    assert running.record.version == OLD.version


@pytest.mark.parametrize("failure", [RecipeFailedError("it crash-loops"), InterruptedRunError("SIGINT")])
def test_a_first_deployment_that_fails_leaves_nothing(world: World, failure: Exception) -> None:
    world.stack.broken[OLD.commit] = failure
    with pytest.raises((InfraError, InterruptedRunError)):
        world.reconcile()
    assert keycloak_json.load_live(world.settings) is None
    assert keycloak_json.generations(world.settings) == []
    assert world.stack.runs is None
    assert ("crash-loops" in world.alert()) == isinstance(failure, RecipeFailedError)


def test_one_that_cannot_be_started_is_infrastructure_and_an_alert(running: World) -> None:
    running.stack.runs = None
    running.stack.broken[OLD.commit] = RecipeFailedError("it did not converge")
    with pytest.raises(InfraError, match="it did not converge"):
        running.reconcile()
    assert "it did not converge" in running.alert()
    running.stack.broken.clear()
    assert running.reconcile().action is Action.START
    assert running.alert() == ""
    running.sound()


def test_a_plain_release_is_taken_while_a_major_is_held(running: World) -> None:
    running.releases = [OLD, NEW, MAJOR]
    assert running.reconcile().version == NEW.version
    assert "2.0.0+26.7.3 is held back" in running.alert()
    running.sound()
    assert running.reconcile().action is Action.HOLD


@pytest.mark.parametrize("failure", [InfraError("the forge is down"), UsageError("no release 9")])
def test_a_forge_that_is_down_keeps_nobody_from_his_keycloak(
    running: World, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def down(*_: object) -> list[Release]:
        raise failure

    monkeypatch.setattr(choice, "candidates", down)
    assert running.reconcile().action is Action.UNCHANGED
    running.stack.runs = None
    found = running.reconcile()
    assert (found.action, str(failure) in found.reason) == (Action.START, True)
    running.sound()


def test_what_is_not_waiting_cannot_be_accepted(running: World) -> None:
    running.releases = [OLD, NEW]
    with pytest.raises(UsageError, match=r"2\.0\.0 is not a release that is waiting"):
        running.reconcile("2.0.0")
    running.sound()


@pytest.mark.parametrize("moment", ["deploy", "copy", "record"])
def test_killed_in_an_upgrade(running: World, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Nothing of the roll-back is run, as after kill -9; the next pass finishes."""

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    running.releases = [OLD, NEW]
    where: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
        "deploy": lambda patch: patch.setattr(running.stack, "deploy", die),
        "copy": lambda patch: patch.setattr(live_reconcile, "copy_data", die),
        "record": lambda patch: patch.setattr(live_reconcile, "save_live", die),
    }
    with monkeypatch.context() as patch:
        where[moment](patch)
        patch.setattr(Reconciler, "_roll_back", lambda *_: None)
        with suppress(Killed):
            running.reconcile()
    assert running.record.version == OLD.version
    assert running.reconcile().action is Action.UPGRADE
    running.sound()


def test_busy_stays_busy(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise BusyError("runs still use the live Keycloak")

    running.releases = [OLD, NEW]
    monkeypatch.setattr(lock, "alone", busy)
    with pytest.raises(BusyError):
        running.reconcile()
    running.sound()
    assert running.alert() == "", "it may be tried again, nobody has to come"
