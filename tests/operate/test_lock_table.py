"""`warmci locks` and how long a run waits for one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.results import result
from warmci.base import fs
from warmci.base.locks import Holder, app_lock, slot
from warmci.base.models import Mode, StageResult, Verdict
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.cli import app as cli
from warmci.operate import lock_table
from warmci.report.history import expected_s
from warmci.report.past import read_past

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    mask = os.umask(0o077)
    made = Settings(state_dir=open_state(tmp_path / "state").dir)
    monkeypatch.setenv("WARMCI_STATE_DIR", str(made.state_dir))
    yield made
    os.umask(mask)


def past(settings: Settings, number: int, seconds: float, **changes: Any) -> None:
    run = f"202611{number:02}T000000Z-000000"
    stages = (StageResult(name="a", outcome="ok", seconds=seconds / 2),) * 2
    made = result(run=run, requested=Mode.QUICK, stages=stages, seconds=5000.0, **changes)
    (settings.runs_dir / run).mkdir()
    fs.write_json(settings.runs_dir / run / "result.json", made.model_dump(mode="json"))


def test_the_expected_end_is_that_of_earlier_runs(settings: Settings) -> None:
    assert expected_s(read_past(settings.runs_dir), "miniflux", "quick") is None
    for number, seconds in enumerate([1000.0, 10.0, 20.0, 30.0], 1):
        past(settings, number, seconds)
    past(settings, 10, 999.0, recipe="other")
    past(settings, 11, 999.0, verdict=Verdict.INFRA)
    past(settings, 12, 999.0, verdict=Verdict.BUSY)
    (settings.runs_dir / "20261201T000000Z-000000").mkdir()
    (settings.runs_dir / "20261201T000000Z-000000" / "result.json").write_text("{")
    assert expected_s(read_past(settings.runs_dir), "miniflux", "quick") == 25.0
    assert expected_s(read_past(settings.runs_dir), "miniflux", "cold") is None
    for number in range(13, 23):
        past(settings, number, 5.0)
    assert expected_s(read_past(settings.runs_dir), "miniflux", "quick") == 5.0


def test_locks_as_data(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    past(settings, 1, 60.0)
    assert cli.main(["locks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "locks": []}
    holder = Holder.here("run-a", "miniflux", "run quick", "roll back", "7")
    with app_lock(settings.state_dir, "miniflux", holder, wait_s=0), slot(settings.state_dir, 2, holder, wait_s=0):
        assert cli.main(["locks", "--json"]) == 0
    app, place = json.loads(capsys.readouterr().out)["locks"]
    assert (app["lock"], place["lock"]) == ("app-miniflux", "slot-0")
    assert (app["run"], app["recipe"], app["pr"], app["phase"]) == ("run-a", "miniflux", "7", "roll back")
    assert app["pid"] == os.getpid()
    since, end = (datetime.fromisoformat(app[name]) for name in ("since", "expected_end"))
    assert end - since == timedelta(seconds=60)


def test_locks_for_people(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["locks"]) == 0
    assert "no lock is held; 2 slots are free" in capsys.readouterr().err
    past(settings, 1, 60.0)
    holder = Holder.here("run-a", "miniflux", "run quick", "deploy", "7")
    with app_lock(settings.state_dir, "miniflux", holder, wait_s=0) as lock:
        assert cli.main(["locks"]) == 0
        said = capsys.readouterr()
        assert said.out == ""
        for word in ("app-miniflux", "run quick", "deploy", "run-a", " 7 "):
            assert word in said.err
        assert "overdue" not in said.err
        old = lock.holder.model_copy(update={"since": datetime.now(UTC) - timedelta(hours=1)})
        lock.path.write_text(old.model_dump_json() + "\n")
        assert cli.main(["locks"]) == 0
        assert "overdue" in capsys.readouterr().err


@pytest.mark.parametrize("torn", ["", "torn"])
def test_a_holder_that_cannot_be_read_still_holds(settings: Settings, torn: str) -> None:
    with app_lock(settings.state_dir, "miniflux", Holder.here("r", "miniflux", "x"), wait_s=0) as lock:
        lock.path.write_text(torn)
        (found,) = lock_table.look(settings)
    assert found.holder == "someone who has not said who"
    assert found.expected_end is None


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [str(Path(sys.executable).with_name("run_recipe_ci.py")), "miniflux", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_two_ways_to_wait_exclude_each_other() -> None:
    done = run("--wait", "5", "--no-wait")
    assert done.returncode == 2
    assert "exclude each other" in done.stderr
    assert run("--wait", "-1").returncode == 2
