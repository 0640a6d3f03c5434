"""The live Keycloak converged for real: fresh, unchanged, upgraded, a broken upgrade rolled back, a major one held."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from warmci.base.labels import INSTANCE_LABEL
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.live import footprint, keycloak_json, lock
from warmci.report import alerts
from warmci.sso import keycloak_app, realm_lifecycle, realm_spec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.bench import Answer, Bench

pytestmark = pytest.mark.integration
FIRST = "1.0.0+26.7.3"
MIB = 2**20


class World:
    """A WarmCI of its own on the session's engine, with a keycloak recipe that the test makes releases of."""

    def __init__(self, bench: Bench, root: Path) -> None:
        self.bench = bench
        self.recipe = root / "recipes" / "keycloak"
        source = bench.root / "demo" / "recipes" / "keycloak"
        self.git("clone", "-q", str(source), str(self.recipe), cwd=root)
        self.values = {
            **bench.settings.model_dump(mode="json", exclude_defaults=True),
            "state_dir": str(root / "state"),
            "recipe_source": f"{root}/recipes/{{recipe}}",
            "base_domain": "live.warmci.localhost",
            "port_first": 14000,
        }
        self.settings = Settings.model_validate(self.values)
        self.file = root / "settings.toml"
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in self.values.items())
        self.file.write_text(text, encoding="utf-8")

    def git(self, *arguments: str, cwd: Path | None = None) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=cwd or self.recipe, check=True, capture_output=True)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.recipe / name).write_text(text, encoding="utf-8")

    def release(self, version: str) -> None:
        compose = self.recipe / "compose.yml"
        lines = [
            f'        - "coop-cloud.${{STACK_NAME}}.version={version}"' if ".version=" in line else line
            for line in compose.read_text(encoding="utf-8").splitlines()
        ]
        compose.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "-qm", version)
        self.git("tag", "-am", version, version)

    def bump(self, config: str, version: str) -> None:
        """Another content of a config needs another name, as in any recipe."""
        script = self.recipe / "abra.sh"
        lines = [line for line in script.read_text(encoding="utf-8").splitlines() if config not in line]
        script.write_text("\n".join([*lines, f"export {config}={version}", ""]), encoding="utf-8")

    def reconcile(self, *arguments: str, **env: str) -> Answer:
        return self.bench.call(
            "warmci", "keycloak", "reconcile", "--json", *arguments, WARMCI_SETTINGS=str(self.file), **env
        )

    @property
    def record(self) -> keycloak_json.LiveRecord:
        found = keycloak_json.load_live(self.settings)
        assert found is not None
        return found

    def realms(self) -> list[str]:
        with keycloak_app.connected(self.settings, self.record.access) as keycloak:
            return [realm.name for realm in realm_lifecycle.list_realms(keycloak)]

    def make_realm(self) -> str:
        name = realm_lifecycle.new_realm_name("kept", "1", "x")
        facts = {"name": name, "run": "r", "owner": "o", "host": "h", "client_id": "app", "client_secret": "s"}
        with keycloak_app.connected(self.settings, self.record.access) as keycloak:
            spec = realm_spec.RealmSpec.model_validate({**facts, "redirect_uris": ()})
            realm_lifecycle.create_keycloak_realm(keycloak, spec, announce=lambda _: None)
        return name

    def alert(self) -> str:
        return " ".join(item.message for item in alerts.standing(self.settings) if item.subject == "keycloak")

    def generations(self) -> list[str]:
        return [path.name for path in keycloak_json.generations(self.settings)]


@pytest.fixture(scope="module")
def world(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("live")
    world = World(bench, root)
    yield world
    down = bench.call("warmci", "keycloak", "down", "--yes", WARMCI_SETTINGS=str(world.file))
    assert down.code == 0, down.stderr
    ours = [f"{INSTANCE_LABEL}={open_state(world.settings.state_dir).instance}"]
    engine = bench.engine
    assert [*engine.services(ours), *engine.volumes(ours), *engine.networks(ours), *engine.secrets(ours)] == []
    assert not world.settings.live_dir.exists()


def done(answer: Answer) -> dict[str, str]:
    assert answer.code == 0, answer.stderr
    found: dict[str, str] = json.loads(answer.stdout)
    return found


def test_converges(world: World) -> None:
    """One story, since a Keycloak takes twenty seconds to boot."""
    # Fresh.
    fresh = done(world.reconcile())
    assert (fresh["action"], fresh["version"]) == ("deploy", FIRST)
    assert set(world.settings.live_dir.iterdir()) == {
        world.settings.live_dir / "keycloak.json",
        world.settings.live_dir / "generations",
    }
    kept = world.make_realm()
    first = world.record
    size = footprint.of(world.settings, first)
    assert size.data > MIB
    assert size.memory is not None
    assert size.memory > 100 * MIB

    # Unchanged: nothing on the engine is touched.
    before = world.bench.engine.services([f"{INSTANCE_LABEL}={open_state(world.settings.state_dir).instance}"])
    assert done(world.reconcile())["action"] == "unchanged"
    after = world.bench.engine.services([f"{INSTANCE_LABEL}={open_state(world.settings.state_dir).instance}"])
    assert [item["Version"] for item in before] == [item["Version"] for item in after]

    # A forge that is down: what serves goes on serving.
    hidden = world.recipe.rename(world.recipe.with_name("away"))
    offline = done(world.reconcile())
    assert offline["action"] == "unchanged"
    assert "not known" in offline["reason"]
    hidden.rename(world.recipe)

    # Held: major, and release notes.
    world.release("2.0.0+26.7.3")
    held = done(world.reconcile())
    assert (held["action"], held["version"]) == ("hold", FIRST)
    assert "major version of the recipe" in world.alert()
    world.git("tag", "-d", "2.0.0+26.7.3")
    (world.recipe / "release" / "1.0.1+26.7.3").write_text("Run the migration by hand.\n", encoding="utf-8")
    world.release("1.0.1+26.7.3")
    assert done(world.reconcile())["action"] == "hold"
    assert "Run the migration by hand" in world.alert()
    assert world.record == first

    # Accepted: upgraded, with data and accounts; a run that uses it is waited for.
    with lock.shared(world.settings.state_dir, wait_s=5, on_wait=lambda: None):
        busy = world.reconcile("--accept", "1.0.1+26.7.3", WARMCI_LOCK_WAIT_S="1")
    assert busy.code == 75, busy.stderr
    assert "runs still use the live Keycloak" in busy.stderr
    upgraded = done(world.reconcile("--accept", "1.0.1+26.7.3"))
    assert (upgraded["action"], upgraded["version"]) == ("upgrade", "1.0.1+26.7.3")
    assert world.realms() == [kept]
    assert world.alert() == ""
    assert world.generations() == [world.record.generation] != [first.generation]
    assert world.record.url == first.url


def test_a_broken_upgrade_is_rolled_back(world: World) -> None:
    """Its health never comes; the old version is back with its realms, and the broken one is not tried again."""
    good = world.record
    kept = world.make_realm()
    world.bump("HEALTHCHECK_VERSION", "v2")
    compose = (world.recipe / "compose.yml").read_text(encoding="utf-8")
    # Swarm gives it up soon: a deadline of ours would hang on the machine's speed.
    impatient = compose.replace("start_period: 10m", "start_period: 1s").replace("retries: 15", "retries: 2")
    assert "start_period: 1s" in impatient
    broken = {"compose.yml": impatient, "healthcheck.sh": "#!/bin/bash\necho no such luck >&2\nexit 1\n"}
    world.write(**broken)
    world.release("1.0.2+26.7.3")
    failed = world.reconcile()
    assert failed.code == 3, failed.stderr
    assert "upgrade of Keycloak to 1.0.2+26.7.3 failed" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "1.0.1+26.7.3 is back with its data" in world.alert()
    assert kept in world.realms()
    assert (world.record.version, world.record.generation) == (good.version, good.generation)
    assert world.generations() == [good.generation]
    held = done(world.reconcile())
    assert held["action"] == "hold"
    assert "it was rolled back" in held["reason"]
    assert kept in world.realms()


def test_a_reconcile_that_is_killed_is_finished_by_the_next(world: World) -> None:
    good = world.record
    names = world.realms()
    world.git("checkout", "-q", "1.0.1+26.7.3", "--", "healthcheck.sh", "compose.yml")
    world.bump("HEALTHCHECK_VERSION", "v3")
    world.release("1.0.4+26.7.3")
    process = world.bench.start("warmci", "keycloak", "reconcile", WARMCI_SETTINGS=str(world.file))
    deadline = time.monotonic() + 60
    while len(world.generations()) < 2:
        assert time.monotonic() < deadline, "no new generation after a minute"
        time.sleep(0.05)
    time.sleep(3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert world.record == good
    finished = done(world.reconcile())
    assert (finished["action"], finished["version"]) == ("upgrade", "1.0.4+26.7.3")
    assert world.realms() == names
    assert world.generations() == [world.record.generation]


@pytest.mark.long
def test_a_keycloak_that_went_away_comes_back_with_its_data(world: World) -> None:
    """Without its forge, and at another domain, because the operator renamed the host meanwhile."""
    names = world.realms()
    ours = [f"{INSTANCE_LABEL}={open_state(world.settings.state_dir).instance}"]
    world.bench.engine.remove_services([item["ID"] for item in world.bench.engine.services(ours)])
    hidden = world.recipe.rename(world.recipe.with_name("away"))
    started = done(world.reconcile(WARMCI_BASE_DOMAIN="moved.warmci.localhost"))
    hidden.rename(world.recipe)
    assert started["action"] == "start"
    assert started["url"].startswith("http://warm-keycloak.moved.warmci.localhost:")
    assert world.realms() == names
