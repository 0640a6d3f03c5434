"""Three files for each verdict, and no path named where none could be written; by the program, without an engine."""

from __future__ import annotations

import html
import json
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from warmci import run_recipe_ci
from warmci.base.errors import BusyError, InterruptedRunError, RecipeFailedError, UsageError
from warmci.base.models import Mode, Verdict
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.operate.prune_plan import kind_of
from warmci.report.console import Console
from warmci.report.past import read_past
from warmci.run import run
from warmci.run.context import Request
from warmci.run.run import Run
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = {"result.json", "junit.xml", "report.html"}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    mask = os.umask(0o077)
    monkeypatch.setenv("WARMCI_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("WARMCI_DOCKER_HOST", "unix:///nonexistent.sock")
    with ExitStack() as stack:
        stack.callback(os.umask, mask)
        yield tmp_path / "state"


def call(*argv: str) -> int:
    return run_recipe_ci.main(list(argv))


def only_run(state: Path, code: int, verdict: str) -> Path:
    """The one run's directory, its three files right."""
    (home,) = (state / ".runs").iterdir()
    assert {path.name for path in home.iterdir()} >= FILES
    seen = json.loads((home / "result.json").read_text(encoding="utf-8"))
    assert (seen["verdict"], seen["exit_code"]) == (verdict, code)
    root = ET.fromstring((home / "junit.xml").read_text(encoding="utf-8"))  # noqa: S314  (our own)
    assert root.find(".//testcase") is not None
    assert html.escape(seen["summary"]) in (home / "report.html").read_text(encoding="utf-8")
    return home


@pytest.mark.parametrize("name", ["../../x", "", "UPPER", "-x;", "x" * 300])
def test_a_name_that_is_none(state: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert call("--", name) == 2
    home = only_run(state, 2, "usage")
    assert f"{home}/result.json" in capsys.readouterr().err
    assert {path.name for path in state.parent.iterdir()} == {"state"}, "no name becomes a path"
    assert {path.name for path in state.iterdir()} == {".runs", ".locks", ".instance"}


def test_no_engine(state: Path) -> None:
    assert call("demo") == 3
    only_run(state, 3, "infrastructure")


@pytest.mark.parametrize("setting", ["max_tests = 'many'", "no_such = 1"])
def test_a_wrong_setting(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f"state_dir = '{state}'\n{setting}\n", encoding="utf-8")
    monkeypatch.delenv("WARMCI_STATE_DIR")
    monkeypatch.setenv("WARMCI_SETTINGS", str(file))
    assert call("demo") == 2
    only_run(state, 2, "usage")


def test_settings_that_tell_no_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("state_dir = [\n", encoding="utf-8")
    monkeypatch.setenv("WARMCI_SETTINGS", str(file))
    assert call("demo") == 2
    assert "result.json" not in capsys.readouterr().err


def test_a_bug(state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(_host: str) -> None:
        raise KeyError("some-key")

    monkeypatch.setattr(run, "Engine", wrong)
    assert call("demo", "--json") == 70
    home = only_run(state, 70, "bug")
    said = capsys.readouterr()
    assert json.loads(said.out)["verdict"] == "bug"
    assert f"this is a bug in WarmCI: KeyError; details in {home}/bug.log" in said.err
    assert "Traceback" not in said.err
    log = home / "bug.log"
    assert "KeyError: 'some-key'" in log.read_text(encoding="utf-8")
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("error", "code", "verdict"),
    [(BusyError("recipe demo: busy"), 75, "busy"), (InterruptedRunError("interrupted"), 130, "interrupted")],
)
def test_a_run_that_did_not_begin(
    state: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, verdict: str
) -> None:
    def wrong(_host: str) -> None:
        raise error

    monkeypatch.setattr(run, "Engine", wrong)
    assert call("demo") == code
    only_run(state, code, verdict)


def test_a_state_directory_that_is_refused_gets_nothing(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state.mkdir(mode=0o755)
    state.chmod(0o755)
    assert call("demo") in {2, 3}
    assert not any(state.iterdir())
    said = capsys.readouterr().err
    assert "result.json" not in said
    assert "no result was written" in said


def test_mistakes_are_no_history_and_push_out_no_run(state: Path) -> None:
    for name in ("UPPER", "../x", "Typo"):
        assert call("--", name) == 2
    settings = Settings(state_dir=state, keep_runs=1)
    assert read_past(settings.runs_dir) == []
    assert {kind_of(path) for path in settings.runs_dir.iterdir()} == {("", "", False)}
    assert CanonicalStore(open_state(state, floor_bytes=0).dir).recipes() == []


def test_a_mistake_of_who_asks_has_no_cause_in_the_app(state: Path) -> None:
    run = Run(Settings(state_dir=state), Console(quiet=True), Request("demo", Mode.COLD))
    said = "recipe.toml: health_pth: unknown key"
    assert run._result(UsageError(said), Verdict.USAGE).cause is None
    assert run._result(RecipeFailedError(said), Verdict.FAIL).cause is not None
