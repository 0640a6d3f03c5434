"""`warmci run show`: what a run said and left, read from its directory alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.results import RUN, quick_fail
from warmci.base.run_locks import run_lock
from warmci.cli import app
from warmci.report.console import Console
from warmci.run import record

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_run_is_shown_with_its_files(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = state / ".runs" / RUN
    run_lock(home).release()
    (home / "bug.log").write_text("x", encoding="utf-8")
    result = quick_fail().model_copy(update={"kept": ("bug.log", "seen/quick/gone.log")})
    record.write(home, result, Console())
    assert app.main(["run", "show", RUN]) == 0
    said = capsys.readouterr().err
    assert result.summary in said
    assert str(home / "bug.log") in said
    assert "gone.log" not in said
    assert app.main(["run", "show", RUN, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["result"]["run"] == RUN
    assert told["files"] == [str(home / name) for name in ("report.html", "junit.xml", "result.json", "bug.log")]


def test_a_run_that_is_not_there(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["run", "show", RUN]) == 2
    assert f"run {RUN} has no readable result in {state}" in capsys.readouterr().err
    assert app.main(["run", "show", "../../etc"]) == 2
