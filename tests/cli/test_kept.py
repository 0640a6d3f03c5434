"""`warmci run clean`: what it prints once the kept run has ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.results import RUN, quick_fail
from warmci.base.models import Verdict
from warmci.base.run_locks import run_lock
from warmci.cli import app
from warmci.report.console import Console
from warmci.run import kept_app, record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("verdict", "work", "code", "said"),
    [
        (Verdict.FAIL, False, 0, None),
        (Verdict.FAIL, True, 3, "work"),
        (Verdict.ROLLBACK_FAILED, False, 5, "the roll-back"),
    ],
)
def test_one_document_that_says_what_came_of_it(
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verdict: Verdict,
    work: bool,
    code: int,
    said: str | None,
) -> None:
    """No data first and an error after: what is read on standard output is the end."""
    monkeypatch.setattr(kept_app, "find", lambda *_: None)
    monkeypatch.setattr(kept_app, "end", lambda *_: None)
    home = state / ".runs" / RUN
    run_lock(home).release()
    result = quick_fail().model_copy(update={"verdict": verdict, "summary": "the roll-back failed", "leftovers": ()})
    record.write(home, result, Console(quiet=True))
    if work:
        (home / "work").mkdir()
    assert app.main(["run", "clean", RUN, "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    if said is None:
        assert (told["run"], told["leftovers"]) == (RUN, [])
    else:
        assert (told["exit_code"], said in told["error"]) == (code, True)
