"""On red, everything: a test that is broken on purpose, on a real swarm, and what its reader finds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.own_recipes import make_recipe, shell, web
from warmci.base.models import Ledger

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.integration
CANARY = "canary-Secret-0123456789"
TEST = """
def test_title(app):
    page = app.client.get("/").text
    print("fetched", page)
    assert "title" in page, "no title"

def test_other(app): raise ValueError("outer")
"""


def test_a_failed_test_tells_its_assertion_and_leaves_all_that_was_seen(bench: Bench) -> None:
    serve = f"mkdir -p /www; echo ok > /www/index.html; echo started {CANARY}; exec httpd -f -p 8080 -h /www"
    check = {"test": ["CMD-SHELL", "echo all well; wget -q -O- localhost:8080"], "interval": "1s"}
    base, head = web(), web("0.2.0+1.0", command=shell(serve), healthcheck=check)
    name = make_recipe(bench, "redtest", head, [("0.1.0+1.0", base)])
    operator = bench.settings.recipes_dir / name
    operator.mkdir()
    (operator / "recipe.toml").write_text(f'secrets = {{unused = "{CANARY}"}}\n', encoding="utf-8")
    (operator / "test_red.py").write_text(TEST, encoding="utf-8")

    answer = bench.run(name, "--ref", "pr", "--pr", "1")
    assert answer.code == 1, answer.stderr
    assert "test_red::test_title and 1 more: AssertionError: no title" in answer.stderr
    assert "failed: test_red::test_other: ValueError: outer" in answer.stderr
    assert "--- the failed test's output" in answer.stderr
    result = answer.result
    assert result.summary == "test_red::test_title and 1 more: AssertionError: no title"
    home = bench.settings.runs_dir / result.run
    kept = {path: (home / path).read_text(encoding="utf-8") for path in result.kept}
    assert {"fresh-pytest-install.log", "seen/fresh/app.log", "seen/fresh/compose.yml", "seen/fresh/tasks.txt"} <= set(
        kept
    )
    assert "fetched ok" in kept["fresh-pytest-install.log"]
    assert 'assert "title" in page' in kept["fresh-pytest-install.log"]
    assert "started ***" in kept["seen/fresh/app.log"]
    assert "all well" in kept["seen/fresh/health.txt"]
    assert "running" in kept["seen/fresh/tasks.txt"]
    assert CANARY not in "".join(kept.values())
    page = (home / "report.html").read_text(encoding="utf-8")
    assert all(f'href="./{path}"' in page for path in kept)
    assert {(home / path).stat().st_mode & 0o777 for path in kept} == {0o600}
    shown = bench.call("warmci", "run", "show", result.run, "--json")
    assert shown.code == 0, shown.stderr
    assert str(home / "seen/fresh/app.log") in json.loads(shown.stdout)["files"]
    assert bench.ledger() == Ledger()
