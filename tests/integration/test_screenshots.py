"""The app's landing page in the report of a run, by a real Chromium, on a real swarm (`make test-pages`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.own_recipes import make_recipe, web
from warmci.base.models import Ledger

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.browser


def test_a_cold_run_shows_the_app_after_install_and_after_upgrade(bench: Bench) -> None:
    name = make_recipe(bench, "shown", web("0.2.0+1.0"), [("0.1.0+1.0", web())])
    answer = bench.run(name, "--ref", "pr", "--pr", "1", WARMCI_SCREENSHOTS="cold")
    assert answer.code == 0, answer.stderr
    result, home = answer.result, bench.settings.runs_dir / answer.result.run
    assert {file: said.rpartition("/ ")[2] for file, said in result.screenshots.items()} == {
        "screenshot-fresh.jpg": "after install",
        "screenshot-upgrade.jpg": "after upgrade",
    }
    page = (home / "report.html").read_text(encoding="utf-8")
    assert page.count('<img src="data:image/jpeg;base64,/9j/') == 2
    files = json.loads(bench.call("warmci", "run", "show", result.run, "--json").stdout)["files"]
    assert {str(home / file) for file in result.screenshots} <= set(files)
    assert bench.ledger() == Ledger()


def test_a_red_run_has_one_too_and_never_none(bench: Bench) -> None:
    name = make_recipe(bench, "unshown", web())
    operator = bench.settings.recipes_dir / name
    operator.mkdir()
    (operator / "test_red.py").write_text("def test_red(app): raise ValueError('red')\n", encoding="utf-8")
    answer = bench.run(name, "--ref", "pr", "--pr", "1", WARMCI_SCREENSHOTS="cold")
    assert answer.code == 1, answer.stderr
    assert list(answer.result.screenshots) == ["screenshot-fresh.jpg"]
    answer = bench.run(name, "--ref", "pr", "--pr", "1", WARMCI_SCREENSHOTS="never")
    assert answer.code == 1, answer.stderr
    assert answer.result.screenshots == {}
