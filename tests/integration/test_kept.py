"""The loop: an app that is kept after its run, its tests again, a shell in it; what kills and other runs do to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.bench import BIN
from support.own_recipes import make_recipe, shell, web, with_volume
from warmci.base import http
from warmci.base.models import Ledger, RunResult
from warmci.base.run_locks import is_alive
from warmci.run import kept_app

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.integration
SERVE = "trap 'exit 0' TERM; mkdir -p /www; echo ok > /www/index.html; httpd -f -p 8080 -h /www & wait"
TEST = """
def test_title(app): assert "title" in app.client.get("/").text, "no title"
def test_ok(app): assert "ok" in app.client.get("/").text
"""


def recipe(bench: Bench, name: str) -> str:
    facts: dict[str, Any] = {"volumes": ["data:/data"], "command": shell(SERVE)}
    base = with_volume(web(**facts), "data")
    head = with_volume(web("0.2.0+1.0", environment={"NEW": "1"}, **facts), "data")
    return make_recipe(bench, name, head, [("0.1.0+1.0", base)])


def served(bench: Bench, app: kept_app.KeptApp) -> str:
    context = app.context
    with http.client(
        base_domain=context.base_domain, address=context.address, base_url=context.url, ca=context.ca
    ) as client:
        return client.get("/").text


def holds(bench: Bench, run: str) -> list[dict[str, str]]:
    answer = bench.call("warmci", "locks", "--json")
    return [lock for lock in json.loads(answer.stdout)["locks"] if lock["run"] == run]


def within(seconds: float, reached: object) -> None:
    deadline = time.monotonic() + seconds
    while not reached():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_red_run_is_kept_and_its_tests_run_again(bench: Bench) -> None:
    name = recipe(bench, "looped")
    operator = bench.settings.recipes_dir / name
    operator.mkdir()
    (operator / "recipe.toml").write_text('secrets = {token = "canary-Secret-987"}\n', encoding="utf-8")
    (operator / "test_looped.py").write_text(TEST, encoding="utf-8")

    answer = bench.run(name, "--ref", "pr", "--pr", "1", "--keep-on-failure", "--keep-for", "5m")
    assert answer.code == 1, answer.stderr
    run = answer.result.run
    assert answer.result.kept_until is not None
    assert f"warmci run test {run}" in answer.stderr
    app = kept_app.find(bench.settings, run)
    assert served(bench, app).strip() == "ok"
    secret = kept_app.secrets_dir(bench.settings.runs_dir / run) / "token"
    assert (secret.read_text(encoding="utf-8"), secret.stat().st_mode & 0o777) == ("canary-Secret-987", 0o600)

    red = bench.call("warmci", "run", "test", run, "-x")
    assert red.code == 1, red.stderr
    assert "AssertionError: no title" in red.stdout
    assert "1 passed" not in red.stdout  # -x
    some = bench.call("warmci", "run", "test", run, "-k", "ok", "--json")
    assert some.code == 0, some.stderr
    assert [test["name"] for test in json.loads(some.stdout)["tests"]] == ["test_looped::test_ok"]
    assert bench.call("warmci", "run", "test", run, "-k", "none").code == 6
    (operator / "test_looped.py").write_text(TEST.replace('"title" in', '"ok" in'), encoding="utf-8")
    assert bench.call("warmci", "run", "test", run).code == 0
    inside = subprocess.run(
        [str(BIN / "warmci"), "run", "shell", run], input="cat /www/index.html", capture_output=True, text=True,
        check=True, env=bench.env(),
    )  # fmt: skip
    assert inside.stdout == "ok\n"
    assert list(json.loads(bench.call("warmci", "run", "logs", run, "--json").stdout)["logs"]) == ["app"]
    assert [lock["phase"][:11] for lock in holds(bench, run)] == ["kept until "]

    ended = bench.call("warmci", "run", "clean", run)
    assert ended.code == 0, ended.stderr
    assert not secret.exists()
    assert "nothing left behind" in (bench.settings.runs_dir / run / "kept.log").read_text(encoding="utf-8")
    assert bench.ledger() == Ledger()
    after = RunResult.model_validate_json((bench.settings.runs_dir / run / "result.json").read_bytes())
    assert (after.verdict, after.kept_until, after.leftovers) == ("fail", None, ())
    assert abs(after.seconds - answer.result.seconds) < 10
    assert bench.call("warmci", "run", "test", run).code == 2


@pytest.fixture(scope="module")
def aged(bench: Bench) -> str:
    name = recipe(bench, "agedkept")
    answer = bench.run(name)
    assert answer.code == 0, answer.stderr
    return name


def test_a_kept_quick_run_is_respected_and_a_kill_harms_no_canonical(bench: Bench, aged: str) -> None:
    before = bench.fingerprint(aged)
    answer = bench.run(aged, "--ref", "pr", "--pr", "1", "--quick", "--keep", "--keep-for", "5m")
    assert answer.code == 0, answer.stderr
    run = answer.result.run
    app = kept_app.find(bench.settings, run)
    assert {lock["lock"] for lock in holds(bench, run)} == {"app-agedkept", "slot-0"}

    busy = bench.run(aged, "--ref", "pr", "--quick", "--no-wait")
    assert busy.code == 75
    assert busy.result.hint == f"warmci run clean {run} ends it"
    assert "nothing to clean up" in bench.call("warmci", "recover").stderr
    assert served(bench, app).strip() == "ok"
    written = subprocess.run(
        [str(BIN / "warmci"), "run", "shell", run, "app"], input="echo much > /data/new && ls /data", check=True,
        capture_output=True, text=True, env=bench.env(),
    )  # fmt: skip
    assert "new" in written.stdout

    os.kill(app.pid, signal.SIGKILL)
    within(10, lambda: not is_alive(bench.settings.state_dir, run))
    told = bench.call("warmci", "run", "clean", run)
    assert (told.code, "warmci recover" in told.stderr) == (2, True)
    assert f"of run {run}" in bench.call("warmci", "recover").stderr
    assert bench.ledger() == Ledger()
    assert bench.fingerprint(aged) == before


def test_its_time_ends_a_kept_run_that_promotes_nothing(bench: Bench, aged: str) -> None:
    answer = bench.run(aged, "--ref", "pr", "--keep", "--keep-for", "1s")
    assert answer.code == 0, answer.stderr
    run = answer.result.run

    def found() -> RunResult:
        return RunResult.model_validate_json((bench.settings.runs_dir / run / "result.json").read_bytes())

    # The lock goes first, the last word is written then.
    within(60, lambda: not is_alive(bench.settings.state_dir, run) and found().kept_until is None)
    promotion = found().promotion
    assert promotion is not None
    assert (promotion.outcome, promotion.action) == ("skipped", "none")
    assert bench.ledger() == Ledger()


def test_an_interrupt_before_it_is_kept_is_handed_on(bench: Bench, aged: str) -> None:
    running = bench.start("run_recipe_ci.py", aged, "--ref", "pr", "--pr", "2", "--keep", "--json")
    assert running.stderr is not None
    assert any("checkout" in line for line in running.stderr)
    running.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    running.send_signal(signal.SIGTERM)
    stdout, _ = running.communicate(timeout=120)
    assert running.returncode == 130
    assert RunResult.model_validate_json(stdout).verdict == "interrupted"
    assert bench.ledger() == Ledger()


def test_an_opened_canonical_is_thrown_away_at_an_interrupt(bench: Bench, aged: str) -> None:
    before = bench.fingerprint(aged)
    opened = bench.start("warmci", "canonical", "open", aged)
    assert opened.stderr is not None
    said = []
    for line in opened.stderr:
        said.append(line)
        if "Ctrl-C ends it" in line:
            break
    run = next(line.split()[3] for line in said if "warmci run clean" in line)
    app = kept_app.find(bench.settings, run)
    assert served(bench, app).strip() == "ok"
    assert Path(bench.settings.runs_dir / run / "work").is_dir()
    opened.send_signal(signal.SIGINT)
    opened.communicate(timeout=120)
    assert opened.returncode == 0
    assert bench.fingerprint(aged) == before
    assert bench.ledger() == Ledger()
