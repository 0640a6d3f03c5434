"""What a forge hears of a run, over a real socket; a forge that is down changes no verdict and takes little time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.forge_server import PULL_HEAD, STRANGER, TOKEN, FakeForge, serving
from support.results import HEAD, fallback_pass, never_ran, promotion_failed, quick_fail, result
from warmci.base import interrupts
from warmci.base.models import Mode, RunResult, StageResult, TestOutcome, Verdict
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.report import comment
from warmci.report.console import Console
from warmci.run import announce
from warmci.run.announce import announced
from warmci.run.context import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

COLD, QUICK = Request("miniflux", Mode.COLD, pr="7"), Request("miniflux", Mode.QUICK, pr="7")


@pytest.fixture
def forge() -> Iterator[FakeForge]:
    with serving(FakeForge()) as started:
        yield started


@pytest.fixture
def settings(forge: FakeForge, tmp_path: Path) -> Iterator[Settings]:
    mask = os.umask(0o077)
    yield Settings.model_validate({"state_dir": tmp_path / "state", "forge_url": forge.url, "forge_token": TOKEN})
    os.umask(mask)


def tell(settings: Settings, request: Request, made: RunResult) -> RunResult:
    return announced(settings, Console(), request, lambda: made, link="https://ci.example.org/1")


def states(forge: FakeForge) -> list[tuple[str, str, str]]:
    return [(commit, context, state) for commit, context, state, _ in forge.statuses]


def test_pending_then_the_verdict_and_one_comment(forge: FakeForge, settings: Settings) -> None:
    made = result(head_commit=PULL_HEAD)
    assert tell(settings, COLD, made) is made
    assert states(forge) == [(PULL_HEAD, "warmci/cold", "pending"), (PULL_HEAD, "warmci/cold", "success")]
    assert forge.links == {"https://ci.example.org/1"}
    tell(settings, COLD, result(Verdict.FAIL, head_commit=PULL_HEAD, summary="it broke"))
    assert states(forge)[-1] == (PULL_HEAD, "warmci/cold", "failure")
    assert len(forge.comments) == 1
    assert "**WarmCI cold: FAIL**" in forge.comments[0]["body"]
    assert "it broke" in forge.comments[0]["body"]


def test_the_comment_links_says_what_failed_and_how_to_do_it_again() -> None:
    broken = [TestOutcome(name=name, outcome="failed", seconds=0.1, reason=f"no {name}") for name in ("a", "b")]
    made = result(
        Verdict.FAIL,
        stages=(StageResult(name="tests", outcome="failed", seconds=1.0, tests=tuple(broken)),),
        links={"commit": "https://f/commit/1", "CI job": "https://ci/7", "report": "https://e.org/) [x](javascript:1"},
        deviations=("no IPVS",),
        repeat="run_recipe_ci.py miniflux --pr 8",
    )
    body = comment.comment(made, "0f")
    assert "[commit](https://f/commit/1) · [CI job](https://ci/7)" in body
    assert "javascript" not in body
    assert body.index("failed: b: no b") < body.index("1 deviation from") < body.index("no IPVS")
    assert body.rstrip().endswith("```text\nrun_recipe_ci.py miniflux --pr 8\n```")


def test_quick_has_its_own_context_and_comment_and_says_that_it_is_less(forge: FakeForge, settings: Settings) -> None:
    tell(settings, COLD, result(head_commit=PULL_HEAD))
    tell(settings, QUICK, quick_fail())
    assert (HEAD, "warmci/quick", "failure") in states(forge)
    assert len(forge.comments) == 2
    for text in (forge.comments[1]["body"], forge.statuses[-2][3]):
        assert "lower confidence, does not gate a merge" in text
    assert "lower confidence" not in forge.comments[0]["body"]


def test_a_head_that_moved_does_not_stay_pending(forge: FakeForge, settings: Settings) -> None:
    tell(settings, COLD, result(head_commit=HEAD))
    assert states(forge) == [
        (PULL_HEAD, "warmci/cold", "pending"),
        (HEAD, "warmci/cold", "success"),
        (PULL_HEAD, "warmci/cold", "error"),
    ]
    assert f"the run tested {HEAD[:12]}" in forge.statuses[-1][3]


def test_a_commit_that_is_named_is_the_one_that_is_pending(forge: FakeForge, settings: Settings) -> None:
    tell(settings, Request("miniflux", Mode.COLD, HEAD, "7"), result(head_commit=HEAD))
    assert {commit for commit, _, _ in states(forge)} == {HEAD}


def test_a_fallback_is_a_verdict_of_cold_and_none_of_quick(forge: FakeForge, settings: Settings) -> None:
    tell(settings, QUICK, fallback_pass().model_copy(update={"head_commit": PULL_HEAD}))
    assert states(forge) == [
        (PULL_HEAD, "warmci/quick", "pending"),
        (PULL_HEAD, "warmci/cold", "success"),
        (PULL_HEAD, "warmci/quick", "warning"),
    ]
    assert "cold ran, because there is no canonical of miniflux" in forge.statuses[-1][3]
    assert "requested: quick, ran: cold, because: there is no canonical" in forge.comments[0]["body"]


@pytest.mark.parametrize("verdict", [v for v in Verdict if v not in {Verdict.PASS, Verdict.PROMOTION_FAILED}])
def test_nothing_but_a_pass_is_a_success(verdict: Verdict) -> None:
    assert comment.state_of(result(verdict)) == ("failure" if verdict in {Verdict.FAIL, Verdict.REFUSED} else "error")


def test_cold_stays_green_when_promotion_fails() -> None:
    assert comment.state_of(promotion_failed()) == "success"
    assert "could not be moved" in comment.description(promotion_failed())


def test_a_run_that_never_began_ends_pending_where_it_was(forge: FakeForge, settings: Settings) -> None:
    tell(settings, QUICK, never_ran())
    assert states(forge) == [(PULL_HEAD, "warmci/quick", "pending"), (PULL_HEAD, "warmci/quick", "error")]
    assert "no quick pipeline ran" in forge.comments[0]["body"]


def test_a_strangers_comment_with_our_marker_is_left_alone(forge: FakeForge, settings: Settings) -> None:
    instance = open_state(settings.state_dir, floor_bytes=0).instance
    spoof = f"{comment.marker(Mode.COLD, instance)}\n**WarmCI cold: PASS**"
    forge.add(spoof, STRANGER)
    tell(settings, COLD, result())
    assert forge.comments[0]["body"] == spoof
    assert len(forge.comments) == 2


@pytest.mark.parametrize("paged", [True, False])
def test_the_comment_is_found_among_many(forge: FakeForge, settings: Settings, paged: bool) -> None:
    forge.paged = paged
    for number in range(70):
        forge.add(f"comment {number}", STRANGER)
    for _ in range(2):
        tell(settings, COLD, result())
    assert len(forge.comments) == 71


def test_what_a_recipe_says_cannot_leave_its_block() -> None:
    log = "````\n</details> @everyone <!-- warmci cold x --> [click](https://evil.example)\n```"
    text = comment.comment(quick_fail().model_copy(update={"log_excerpt": log}), "0123456789ab")
    assert f"`````text\n{log}\n`````" in text


def test_no_forge_or_no_pull_request_is_no_news(forge: FakeForge, settings: Settings) -> None:
    tell(settings, Request("miniflux", Mode.COLD), result())
    tell(settings.model_copy(update={"forge_url": ""}), COLD, result())
    assert forge.requests == []


# --- a forge that does not do as it should


def test_passing_failures_at_the_end_are_outlasted(forge: FakeForge, settings: Settings) -> None:
    made = result(head_commit=PULL_HEAD)

    def run() -> RunResult:
        forge.failing += [500]
        return made

    assert announced(settings, Console(), COLD, run) is made
    assert states(forge)[-1] == (PULL_HEAD, "warmci/cold", "success")
    assert len(forge.comments) == 1


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refusal_is_a_warning_and_the_verdict_stands(
    forge: FakeForge, settings: Settings, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    forge.failing += [code] * 5
    made = result(head_commit=PULL_HEAD)
    assert tell(settings, COLD, made) is made
    said = capsys.readouterr().err
    assert said.count("warning: ") == said.count("\n") == 2
    assert f": {code} refused" in said
    assert TOKEN not in said


def test_a_forge_that_is_down(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "FINISH_S", 2.0)
    down = settings.model_copy(update={"forge_url": "http://127.0.0.1:9"})
    made = result()
    assert tell(down, COLD, made) is made
    said = capsys.readouterr().err
    assert said.count("warning: ") == 2
    assert "ConnectError" in said


def test_a_forge_that_drips_is_left_behind(
    forge: FakeForge, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.drips = True
    monkeypatch.setattr(announce, "START_S", 0.3)
    monkeypatch.setattr(announce, "FINISH_S", 0.3)
    began = time.monotonic()
    assert tell(settings, COLD, result()).verdict is Verdict.PASS
    assert time.monotonic() - began < 10  # one answer alone drips for 30 s
    assert "has not answered within 0 s" in capsys.readouterr().err


def test_a_bug_does_not_leave_pending_behind(forge: FakeForge, settings: Settings) -> None:
    def run() -> RunResult:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        announced(settings, Console(), COLD, run)
    assert states(forge) == [(PULL_HEAD, "warmci/cold", "pending"), (PULL_HEAD, "warmci/cold", "error")]


def test_an_interrupt_before_the_run_is_its_result(forge: FakeForge, settings: Settings) -> None:
    forge.drips = True
    before = {number: signal.getsignal(number) for number in interrupts._SIGNALS}
    interrupts.install()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        result = announced(settings, Console(), COLD, lambda: pytest.fail("it ran"))
        assert (result.verdict, result.exit_code) == (Verdict.INTERRUPTED, 130)
        written = settings.runs_dir / result.run
        assert RunResult.model_validate_json((written / "result.json").read_bytes()) == result
        assert (written / "report.html").is_file()
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number, handler in before.items():
            signal.signal(number, handler)


# --- through the program


def test_the_program_announces_and_ends_with_the_runs_own_code(forge: FakeForge, tmp_path: Path) -> None:
    named = {"WARMCI_FORGE_URL": forge.url, "WARMCI_FORGE_TOKEN": TOKEN, "CI_PIPELINE_URL": "https://ci.example.org/7"}
    argv = [str(Path(sys.executable).with_name("run_recipe_ci.py")), "miniflux", "--pr", "7", "--quick", "--json"]
    done = subprocess.run(argv, env={**os.environ, **named}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert states(forge) == [(PULL_HEAD, "warmci/quick", "pending"), (PULL_HEAD, "warmci/quick", "error")]
    assert forge.links == {"https://ci.example.org/7"}
    assert RunResult.model_validate_json(done.stdout).verdict is Verdict.INFRA
    assert "warning" not in done.stderr
    assert TOKEN not in done.stdout + done.stderr
