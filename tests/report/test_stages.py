"""Stages and the console: what was timed is shown and recorded, redacted, whatever its end."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time

import pytest

from warmci.base.errors import InfraError, RecipeFailedError
from warmci.base.models import TestOutcome
from warmci.base.stopping import StoppedError, require_wanted, stoppable
from warmci.report.console import Console, print_data
from warmci.report.stages import Recorder, Stage


def test_a_green_stage_counts_its_tests(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder(Console())
    with recorder.stage("install") as stage:
        time.sleep(0.02)
        stage.detail = "1.0.0"
        stage.check("answers", ok=True, message="unused")
        stage.check("is healthy", ok=True)
    (result,) = recorder.stages
    assert (result.name, result.outcome, result.detail) == ("install", "ok", "1.0.0, 2 tests passed")
    assert 0.02 <= result.seconds < 5
    assert [(test.outcome, test.message) for test in result.tests] == [("passed", ""), ("passed", "")]
    said = capsys.readouterr()
    assert re.search(r"✓ install +\d+\.\d\d s  1\.0\.0, 2 tests passed", said.err)
    assert said.out == ""


def test_a_single_test_is_no_plural() -> None:
    recorder = Recorder(Console(quiet=True))
    with recorder.stage("roll back") as stage:
        stage.check("unchanged", ok=True)
    assert recorder.stages[0].detail == "1 test passed"


@pytest.mark.parametrize("final", [True, False])
def test_a_failed_check_of_the_text_alone_is_final(*, final: bool) -> None:
    stage = Stage("upgrade")
    stage.check("the mount stays", ok=not final, final=True)
    stage.check("answers", ok=False)
    with pytest.raises(RecipeFailedError) as caught:
        stage.require_green()
    assert caught.value.final == final


def test_a_failed_check_makes_the_stage_red_and_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder(Console())

    def three_checks() -> None:
        with recorder.stage("custom") as stage:
            stage.check("answers", ok=True)
            stage.check("login", ok=False, message="first\nlast\n")
            stage.check("logout", ok=False)

    with pytest.raises(RecipeFailedError, match=r"^login and 1 more: last$") as caught:
        three_checks()
    assert caught.value.log == "first\nlast\n"
    (result,) = recorder.stages
    assert result.outcome == "failed"
    assert result.detail == "login and 1 more: last"
    assert "✗ custom" in capsys.readouterr().err


def test_every_failed_test_is_listed_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    def tests() -> None:
        with Recorder(Console()).stage("tests") as stage:
            for name, reason in (("a", "AssertionError: no title"), ("b", "ValueError: outer")):
                stage.tests.append(
                    TestOutcome(name=name, outcome="failed", seconds=1, reason=reason, message=f"E\nx.py:1: in {name}")
                )

    with pytest.raises(RecipeFailedError, match=r"^a and 1 more: AssertionError: no title$"):
        tests()
    said = capsys.readouterr().err
    assert "failed: a: AssertionError: no title" in said
    assert "failed: b: ValueError: outer" in said


def test_what_the_infrastructure_failed_is_not_the_recipes_failure() -> None:
    stage = Stage("tests")
    stage.check("answers", ok=False, message="502")
    stage.tests.append(
        TestOutcome(name="login", outcome="failed", seconds=1, message="E", infrastructure="Keycloak is away")
    )
    with pytest.raises(InfraError, match=r"^login: Keycloak is away$"):
        stage.require_green()


def test_a_failed_check_without_words_still_has_a_message() -> None:
    stage = Stage("x")
    stage.check("quiet", ok=False, message="  \n")
    with pytest.raises(RecipeFailedError, match="quiet: failed"):
        stage.require_green()


@pytest.mark.parametrize(
    ("error", "detail"),
    [(InfraError("no disk"), "no disk"), (KeyError("x"), "KeyError"), (KeyboardInterrupt(), "KeyboardInterrupt")],
)
def test_an_error_is_recorded_and_passed_on(error: BaseException, detail: str) -> None:
    recorder = Recorder(Console(quiet=True))
    with pytest.raises(type(error)) as caught, recorder.stage("deploy"):
        raise error
    assert caught.value is error
    assert [(stage.outcome, stage.detail) for stage in recorder.stages] == [("failed", detail)]


def test_a_skipped_stage_is_not_green(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder(Console())
    with recorder.stage("sign-on") as stage:
        stage.skipped = True
        stage.detail = "needs nothing"
    assert recorder.stages[0].outcome == "skipped"
    assert "- sign-on" in capsys.readouterr().err


def test_secrets_reach_neither_the_record_nor_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.redact.add("canary-5eCret")
    recorder = Recorder(console)
    with pytest.raises(RecipeFailedError), recorder.stage("custom") as stage:
        stage.check("login", ok=False, message="password canary-5eCret refused")
    console.say("canary-5eCret")
    console.error("canary-5eCret", "canary-5eCret")
    console.progress("canary-5eCret")
    console.table("t", ["c"], [["canary-5eCret"]])
    said = capsys.readouterr()
    assert "5eCret" not in said.err + said.out
    assert said.err.count("***") >= 6
    assert "5eCret" not in str(recorder.stages)
    assert "password *** refused" in recorder.stages[0].tests[0].message


def test_parallel_stages_are_all_recorded() -> None:
    recorder = Recorder(Console(quiet=True))

    def work(number: int) -> None:
        with recorder.stage(f"s{number}"):
            time.sleep(0.01)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stage.name for stage in recorder.stages) == [f"s{number}" for number in range(8)]


def test_progress_in_a_plain_log_is_rare(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    for number in range(50):
        console.progress(f"state {number}")
    assert len(capsys.readouterr().err.splitlines()) <= 1


def test_markup_and_long_lines_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    line = "[bold]not markup[/bold] " + "x" * 300
    Console().say(line)
    assert capsys.readouterr().err == f"{line}\n"


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    console.say("x")
    console.end_stage("x", "ok", 1.0)
    assert capsys.readouterr().err == ""


def test_data_goes_to_stdout_alone_and_ends_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_data("{}")
    print_data("{}\n")
    said = capsys.readouterr()
    assert said.out == "{}\n{}\n"
    assert said.err == ""


def test_a_reader_that_has_gone_ends_nothing() -> None:
    script = (
        "import os, sys; from warmci.report.console import print_data\n"
        "print_data('x' * 200000); sys.stderr.write('on'); os._exit(0)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        said = child.stderr.read().decode()
        assert child.wait(10) == 0
    assert said == "warning: nobody reads standard output\non"


def test_a_stage_of_a_half_that_was_stopped_is_neither_red_nor_green() -> None:
    recorder, told = Recorder(Console(quiet=True)), threading.Event()
    told.set()
    with stoppable(told), pytest.raises(StoppedError), recorder.stage("upgrade: tests (base)"):
        require_wanted()
    (result,) = recorder.stages
    assert (result.outcome, result.detail) == ("skipped", "stopped: the other half is over")
