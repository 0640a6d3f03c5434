"""What the reconciler of the live Traefik does when something goes wrong; the stack is a fake, the disk is real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from warmci.base.errors import InfraError, InterruptedRunError, RecipeFailedError, UsageError
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.live import choice, ingress_json, ingress_reconcile
from warmci.live.ingress_json import IngressRecord
from warmci.live.ingress_reconcile import IngressReconciler
from warmci.live.plan import Action
from warmci.recipe.repository import Release
from warmci.report import alerts
from warmci.report.console import Console
from warmci.swarm.published import Publisher

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from warmci.live.choice import Converged

OLD = Release("1.0.0+3.6.1", "a" * 40)
NEW = Release("1.0.1+3.6.1", "b" * 40)
MAJOR = Release("2.0.0+4.0.0", "c" * 40)


class FakeStack:
    """Deploys nothing; remembers which commit would run."""

    def __init__(self) -> None:
        self.runs = ""
        self.fingerprint = "f1"
        self.broken: dict[str, BaseException] = {}
        self.away = False
        self.fetched: list[str] = []

    def runs_as(self, record: IngressRecord) -> bool:
        return (self.runs, self.fingerprint) == (record.commit, record.fingerprint)

    def unhealthy(self, _record: IngressRecord) -> str | None:
        return None if self.runs else "nothing answers"

    def fetch(self, _home: Path, commit: str) -> None:
        if self.away:
            raise InfraError("the forge is away")
        self.fetched.append(commit)

    def deploy(self, _home: Path, commit: str, password: SecretStr) -> IngressRecord:
        if commit in self.broken:
            raise self.broken[commit]
        self.runs = commit
        version = next(release.version for release in (OLD, NEW, MAJOR) if release.commit == commit)
        facts = {"version": version, "commit": commit, "fingerprint": self.fingerprint, "password": password}
        return IngressRecord.model_validate({"domain": "ingress.warmci.localhost", **facts})

    def undeploy(self) -> list[str]:
        self.runs = ""
        return []


class World:
    def __init__(self, settings: Settings, stack: FakeStack) -> None:
        self.settings, self.stack = settings, stack
        self.releases = [OLD]
        self.others: list[Publisher] = []

    def reconcile(self, accept: str = "") -> Converged:
        state = open_state(self.settings.state_dir, floor_bytes=0)
        return IngressReconciler(self.settings, Console(quiet=True), state).converge(accept)

    @property
    def record(self) -> IngressRecord:
        found = ingress_json.load_ingress(self.settings)
        assert found is not None
        return found

    def alert(self) -> str:
        return " ".join(item.message for item in alerts.standing(self.settings))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    facts: dict[str, Any] = {"state_dir": open_state(tmp_path / "state", floor_bytes=0).dir}
    stack = FakeStack()
    world = World(Settings(**facts), stack)
    monkeypatch.setattr(ingress_reconcile, "Engine", lambda _: None)
    monkeypatch.setattr(ingress_reconcile, "TraefikStack", lambda *_: stack)
    monkeypatch.setattr(ingress_reconcile, "find_others", lambda *_: world.others)
    monkeypatch.setattr(choice, "candidates", lambda *_: world.releases)
    monkeypatch.setattr(choice, "release_notes", lambda *_: {})
    return world


@pytest.fixture
def running(world: World) -> World:
    assert world.reconcile().action is Action.DEPLOY
    return world


def test_upgrade_and_nothing_to_do(running: World) -> None:
    running.releases = [OLD, NEW]
    assert running.reconcile().action is Action.UPGRADE
    assert (running.record.version, running.stack.runs) == (NEW.version, NEW.commit)
    assert running.stack.fetched == [OLD.commit, NEW.commit]
    assert running.reconcile().action is Action.UNCHANGED
    assert running.alert() == ""


def test_one_that_fails_goes_back_is_remembered_and_may_be_let_through(running: World) -> None:
    running.releases = [OLD, NEW]
    running.stack.broken[NEW.commit] = InfraError("it routes nothing")
    with pytest.raises(InfraError, match=r"failed: it routes nothing; 1\.0\.0\+3\.6\.1 is back") as caught:
        running.reconcile()
    assert "--accept 1.0.1+3.6.1" in str(caught.value.hint)
    assert running.stack.runs == OLD.commit
    assert running.record.failed == {NEW.version: "it routes nothing"}
    assert "it routes nothing" in running.alert()
    assert running.reconcile().action is Action.HOLD
    running.stack.broken.clear()
    assert running.reconcile(NEW.version).action is Action.UPGRADE
    assert running.record.failed == {}


def test_a_forge_that_is_away_stops_nothing(running: World) -> None:
    """The commit is fetched before the old one is taken down."""
    running.releases, running.stack.away = [OLD, NEW], True
    with pytest.raises(InfraError, match="the forge is away"):
        running.reconcile()
    assert (running.stack.runs, running.record.failed) == (OLD.commit, {})


def test_an_interrupted_upgrade_is_nobodys_fault(running: World) -> None:
    running.releases = [OLD, NEW]
    running.stack.broken[NEW.commit] = InterruptedRunError("SIGTERM")
    with pytest.raises(InterruptedRunError):
        running.reconcile()
    assert (running.stack.runs, running.record.failed) == (OLD.commit, {})


def test_when_the_old_one_does_not_come_back_either_the_next_pass_only_starts_it(running: World) -> None:
    running.releases = [OLD, NEW]
    running.stack.broken = {NEW.commit: RecipeFailedError("bad"), OLD.commit: RecipeFailedError("bad too")}
    with pytest.raises(InfraError, match="does not come back: bad too"):
        running.reconcile()
    running.stack.broken.clear()
    again = running.reconcile()
    assert (again.action, again.version, running.stack.runs) == (Action.HOLD, OLD.version, OLD.commit)


@pytest.mark.parametrize("failure", [RecipeFailedError("it crash-loops"), InterruptedRunError("SIGINT")])
def test_a_first_deployment_that_fails_leaves_nothing(world: World, failure: Exception) -> None:
    world.stack.broken[OLD.commit] = failure
    with pytest.raises((InfraError, InterruptedRunError)):
        world.reconcile()
    assert ingress_json.load_ingress(world.settings) is None
    assert not world.settings.ingress_dir.exists()
    assert world.stack.runs == ""


def test_another_certificate_or_a_lost_service_is_started_anew(running: World) -> None:
    running.stack.fingerprint = "f2"
    assert running.reconcile().action is Action.START
    assert running.record.fingerprint == "f2"
    running.stack.undeploy()
    assert running.reconcile().action is Action.START
    assert running.stack.runs == OLD.commit


def test_a_major_release_waits_for_a_person(running: World) -> None:
    running.releases = [OLD, MAJOR]
    assert running.reconcile().action is Action.HOLD
    assert "Traefik stays at 1.0.0+3.6.1; 2.0.0+4.0.0 is held back" in running.alert()


def test_where_another_publishes_443_nothing_is_done(running: World) -> None:
    running.others = [Publisher("traefik_app", "traefik", (), frozenset({"proxy"}), {})]
    with pytest.raises(UsageError, match="traefik_app publishes port 443"):
        running.reconcile()
    assert running.stack.runs == OLD.commit
