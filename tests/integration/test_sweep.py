"""A night over five recipes, two at once, one red; killed in the middle and resumed; a CI run waits its turn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.results import read_results
from warmci.base.labels import INSTANCE_LABEL
from warmci.base.models import Mode
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.report import alerts
from warmci.report.sweep_record import load_sweeps
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.bench import Bench
    from warmci.base.models import RunResult
    from warmci.report.sweep_record import Sweep

pytestmark = [pytest.mark.integration, pytest.mark.long]
PAGES = ("custom-html", "pages-a", "pages-b")
RECIPES = ("miniflux", *PAGES, "broken")


class Night:
    """A WarmCI of its own on the session's engine, with five enrolled recipes."""

    def __init__(self, bench: Bench, root: Path) -> None:
        self.bench, self.root = bench, root
        for name in ("custom-html", "miniflux", "keycloak"):
            self._clone(name, name)
        for name in ("pages-a", "pages-b", "broken"):
            self._clone("custom-html", name)
        for name in PAGES:
            self._better(name)
        self._break("broken")
        values = {
            **bench.settings.model_dump(mode="json", exclude_defaults=True),
            "state_dir": str(root / "state"),
            "recipe_source": f"{root}/recipes/{{recipe}}",
            "base_domain": "night.warmci.localhost",
            "port_first": 16000,
            "recipes": list(RECIPES),
        }
        self.settings = Settings.model_validate(values)
        self.file = root / "settings.toml"
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        self.file.write_text(text, encoding="utf-8")

    def _clone(self, source: str, name: str) -> None:
        origin = str(self.bench.root / "demo" / "recipes" / source)
        self._git("clone", "-q", origin, str(self.root / "recipes" / name), cwd=self.root)

    def _git(self, *arguments: str, cwd: Path) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)

    def _better(self, name: str) -> None:
        """A pull request's branch."""
        tree = self.root / "recipes" / name
        self._git("checkout", "-qb", "better", cwd=tree)
        compose = tree / "compose.yml"
        text = compose.read_text(encoding="utf-8")
        compose.write_text(text.replace("interval: 2s", "interval: 3s"), encoding="utf-8")
        self._git("commit", "-qam", "better", cwd=tree)
        self._git("checkout", "-q", "main", cwd=tree)

    def _break(self, name: str) -> None:
        tree = self.root / "recipes" / name
        compose = tree / "compose.yml"
        text = compose.read_text(encoding="utf-8")
        compose.write_text(text.replace('"httpd", "-f"', '"sh", "-c", "echo no such luck; exit 1"'), encoding="utf-8")
        self._git("commit", "-qam", "broken", cwd=tree)

    def call(self, program: str, *arguments: str) -> Any:
        return self.bench.call(program, *arguments, WARMCI_SETTINGS=str(self.file))

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        return self.bench.start(program, *arguments, WARMCI_SETTINGS=str(self.file))

    def newest(self) -> Sweep | None:
        known = load_sweeps(self.settings.state_dir)
        return known[-1] if known else None

    def sweep(self) -> Sweep:
        found = self.newest()
        assert found is not None
        return found

    def results(self) -> list[RunResult]:
        return read_results(self.settings.runs_dir)


@pytest.fixture(scope="module")
def night(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    night = Night(bench, tmp_path_factory.mktemp("night"))
    yield night
    assert night.call("warmci", "recover").code == 0
    assert night.call("warmci", "keycloak", "down", "--yes").code == 0
    ours = [f"{INSTANCE_LABEL}={open_state(night.settings.state_dir).instance}"]
    engine = bench.engine
    assert [*engine.services(ours), *engine.volumes(ours), *engine.networks(ours), *engine.secrets(ours)] == []


def overlap(results: list[RunResult]) -> int:
    """How many runs were under way at the same time, at most; a run that waits for its slot is not under way."""
    moments = []
    for result in results:
        end = result.started + timedelta(seconds=result.seconds)
        begin = end - timedelta(seconds=sum(stage.seconds for stage in result.stages))
        moments += [(begin, 1), (end, -1)]
    now = most = 0
    for _, step in sorted(moments):
        now += step
        most = max(most, now)
    return most


def wait_for(night: Night, process: subprocess.Popen[str], done: int) -> None:
    deadline = time.monotonic() + 300
    while True:
        sweep = night.newest()
        if sweep is not None and sum(item.state == "done" for item in sweep.items) >= done:
            return
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the sweep does not get on"
        time.sleep(0.2)


def test_a_night(night: Night) -> None:
    first = night.start("warmci", "sweep", "--max-tests", "2")
    wait_for(night, first, 2)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate(timeout=60)
    stopped = night.newest()
    assert stopped is not None
    assert stopped.finished is None

    second = night.start("warmci", "sweep", "--max-tests", "2", "--json")
    wait_for(night, second, 3)
    seeded = next(item.recipe for item in night.sweep().items if item.recipe in PAGES and item.state == "done")
    quick = night.start("run_recipe_ci.py", seeded, "--ref", "better", "--pr", "4", "--quick", "--json")
    out, err = second.communicate(timeout=600)
    answered, said = quick.communicate(timeout=300)
    assert second.returncode == 1, err
    assert quick.returncode == 0, said
    assert "waiting for" in said, "both slots were the sweep's"
    assert (json.loads(answered)["verdict"], json.loads(answered)["ran"]) == ("pass", "quick")

    done = night.newest()
    assert done is not None
    assert json.loads(out)["id"] == done.id == stopped.id
    assert (done.resumed, done.exit_code) == (1, 1)
    assert {item.recipe: str(item.verdict) for item in done.items} == {
        "miniflux": "pass",
        "custom-html": "pass",
        "pages-a": "pass",
        "pages-b": "pass",
        "broken": "fail",
    }
    again = {item.recipe for item in stopped.items if item.state == "done"}
    for item in done.items:
        assert item.reason
        before = next(known for known in stopped.items if known.recipe == item.recipe)
        if item.recipe in again:
            assert item.run == before.run, "what was done is not done again"
    assert overlap(night.results()) == 2
    assert done.drill is not None
    assert str(done.drill.verdict) == "pass"
    assert done.keycloak.startswith(("deploy", "unchanged"))
    store = CanonicalStore(night.settings.state_dir)
    assert set(store.recipes()) == set(RECIPES) - {"broken"}
    (alert,) = alerts.standing(night.settings)
    assert alert.subject == "sweep"
    assert "red: broken" in alert.message
    report = night.settings.state_dir / ".sweeps" / done.id / "report.html"
    assert "no such luck" in report.read_text(encoding="utf-8")
    drills = [result for result in night.results() if result.requested is Mode.DRILL]
    assert [result.leftovers for result in drills] == [()]
