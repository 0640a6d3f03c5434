"""Status shows what is there and goes on when one thing cannot be looked at."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from support.results import result
from support.trees import canonical_of, save
from warmci.base import fs
from warmci.base.locks import Holder, app_lock, host_lock, slot
from warmci.base.names import new_id
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.cli import app
from warmci.operate import status
from warmci.report import alerts
from warmci.report.console import Console
from warmci.report.sweep_record import Sweep, save_sweep
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    state = open_state(tmp_path / "state", floor_bytes=0).dir
    monkeypatch.setenv("WARMCI_STATE_DIR", str(state))
    facts: dict[str, Any] = {"state_dir": state}
    return Settings(**facts)


def test_nothing_yet(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["status", "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert (seen["canonicals"], seen["keycloak"], seen["alerts"], seen["problems"]) == ([], None, [], [])
    assert app.main(["status"]) == 0
    assert "no live one" in capsys.readouterr().err


def test_canonicals_and_alerts(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    CanonicalStore(settings.state_dir).commit(canonical_of(save(settings.state_dir)))
    alerts.alert(settings, Console(quiet=True), "keycloak", "it was rolled back", "warmci keycloak reconcile")
    seen = status.look(settings)
    assert [(item.recipe, item.state) for item in seen.canonicals] == [("demo", "good")]
    assert [item.message for item in seen.alerts] == ["it was rolled back"]
    assert app.main(["status"]) == 0
    said = capsys.readouterr().err
    assert "it was rolled back" in said
    assert "hint: warmci keycloak reconcile" in said
    assert "canary" not in said + seen.model_dump_json()


def test_what_runs_what_ran_and_the_disk(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 8):
        run = f"2026110{number}T000000Z-000000"
        (settings.runs_dir / run).mkdir()
        fs.write_json(settings.runs_dir / run / "result.json", result(run=run, pr=str(number)).model_dump(mode="json"))
    now = datetime.now(UTC)
    save_sweep(
        settings.state_dir,
        Sweep(id=new_id(), started=now, finished=now, max_tests=2, items=(), exit_code=6, verdict="nothing was swept"),
    )
    holder = Holder.here("run-a", "miniflux", "run quick", "roll back", "7")
    with app_lock(settings.state_dir, "miniflux", holder, wait_s=0), slot(settings.state_dir, 2, holder, wait_s=0):
        seen = status.look(settings)
        assert app.main(["status"]) == 0
    said = capsys.readouterr().err
    assert seen.problems == ()
    assert [item.lock for item in seen.locks] == ["app-miniflux", "slot-0"]
    assert (seen.slots, seen.slots_held) == (2, 1)
    assert [item.pr for item in seen.runs] == ["7", "6", "5", "4", "3"]
    assert seen.sweep is not None
    assert (seen.sweep.exit_code, seen.sweep.verdict) == (6, "nothing was swept")
    assert seen.disk is not None
    assert not seen.disk.low
    for words in (
        "slots: 1 of 2 in use: miniflux run quick, roll back",
        "run: PASS cold miniflux PR 7, 9 s",
        "MiB and",
        "nothing was swept",
    ):
        assert words in said
    monkeypatch.setenv("WARMCI_DISK_LOW_MB", str(10**9))
    monkeypatch.setenv("WARMCI_DISK_HIGH_MB", str(10**9))
    assert app.main(["status"]) == 0
    assert "LOW (warmci prune)" in capsys.readouterr().err


def test_an_unreadable_canonical_hides_no_other(settings: Settings) -> None:
    CanonicalStore(settings.state_dir).commit(canonical_of(save(settings.state_dir)))
    (settings.state_dir / "broken").mkdir()
    (settings.state_dir / "broken" / "canonical.json").write_text("{")
    assert {item.recipe: item.state for item in status.look(settings).canonicals} == {
        "demo": "good",
        "broken": "unreadable",
    }


def test_one_unreadable_file_hides_nothing_else(settings: Settings) -> None:
    alerts.alert(settings, Console(quiet=True), "sweep", "it is red", "warmci status")
    settings.live_dir.mkdir(mode=0o700)
    (settings.live_dir / "keycloak.json").write_text("{")
    seen = status.look(settings)
    assert [item.subject for item in seen.alerts] == ["sweep"]
    assert len(seen.problems) == 1
    assert "keycloak.json is not readable" in seen.problems[0]


def test_every_enrolled_recipe_is_shown_with_what_to_do_next(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CanonicalStore(settings.state_dir)
    store.commit(canonical_of(save(settings.state_dir)))
    store.mark_dirty("demo", "it broke")
    monkeypatch.setenv("WARMCI_RECIPES", '["wanted", "demo"]')
    assert app.main(["status"]) == 0
    said = capsys.readouterr().err
    assert "wanted: has no canonical; next: warmci canonical seed wanted" in said
    assert "demo: its canonical is dirty; next: run_recipe_ci.py demo" in said


def test_a_killed_sweep_is_called_stopped(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    save_sweep(settings.state_dir, Sweep(id=new_id(), started=datetime.now(UTC), max_tests=1, items=()))
    assert app.main(["status"]) == 0
    assert "stopped before its end; next: warmci sweep" in capsys.readouterr().err
    with host_lock(settings.state_dir, "sweep", Holder.here("sweep", "sweep", "sweep")):
        assert app.main(["status"]) == 0
    assert "under way" in capsys.readouterr().err


def test_nothing_that_is_copied_is_cut_on_a_narrow_terminal(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmci.report.terminal._LOG_WIDTH", 60)
    version, run = "12.34.56+" + "x" * 60, new_id()
    Console().table("t", ("recipe", "version", "run"), [("r" * 20, version, run), ("other", "", run)])
    said = capsys.readouterr().err
    assert f"  version  {version}\n" in said
    assert said.count(f"  run      {run}\n") == 2
    Console().table("t", ("recipe", "run", "words"), [("demo", run, "some words that go on and on and on and on")])
    said = capsys.readouterr().err
    assert f"│ demo   │ {run} │" in said
    assert max(len(line) for line in said.splitlines()) <= 60


def test_an_empty_table_says_what_to_do(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WARMCI_RECIPES_DIR", str(tmp_path / "none"))
    commands = {
        ("canonical", "list"): "warmci canonical seed RECIPE",
        ("snapshot", "list"): "warmci canonical seed RECIPE",
        ("recipe", "list"): "warmci recipe init NAME",
    }
    for words, expected in commands.items():
        assert app.main(list(words)) == 0
        said = capsys.readouterr().err
        assert expected in said
        assert "┃" not in said
