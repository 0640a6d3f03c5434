"""Each end of a command line has its code; a bug leaves a log file and no traceback on the screen."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from warmci import run_recipe_ci
from warmci.base import errors, interrupts
from warmci.base.models import EXIT_CODES, Verdict
from warmci.base.process import CommandError
from warmci.cli import app as warmci
from warmci.cli import exits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

CODES = {
    errors.WarmciError: 3,
    errors.RecipeFailedError: 1,
    errors.RefusedError: 1,
    errors.UsageError: 2,
    errors.InfraError: 3,
    errors.PromotionError: 4,
    errors.RollbackError: 5,
    errors.UnverifiedError: 6,
    errors.BusyError: 75,
    errors.InterruptedRunError: 130,
}


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in interrupts._SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def raising(error: BaseException) -> int:
    def app(_: Sequence[str]) -> None:
        raise error

    return exits.run_main(app, ["demo", "--quick"])


def test_the_table_is_complete() -> None:
    classes = {item for item in vars(errors).values() if isinstance(item, type)}
    assert classes == set(CODES)


@pytest.mark.parametrize("kind", CODES)
def test_each_error_has_its_code_and_one_line(
    kind: type[errors.WarmciError], capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(kind("deploying x failed", hint="warmci doctor")) == CODES[kind]
    said = capsys.readouterr()
    assert said.err == "error: deploying x failed\nhint: warmci doctor\n"
    assert said.out == ""


def test_an_error_without_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(CommandError(["git", "clone"], 128, "x\nfatal: gone\n")) == 3
    assert capsys.readouterr().err == "error: git failed (128): fatal: gone\n"


@pytest.mark.parametrize(("value", "code"), [(None, 0), (0, 0), (2, 2), (75, 75), ("text", 1)])
def test_system_exit_keeps_its_code(value: str | int | None, code: int) -> None:
    assert raising(SystemExit(value)) == code


def test_a_return_is_success() -> None:
    seen: list[Sequence[str]] = []
    assert exits.run_main(seen.append, ["a", "b"]) == 0
    assert seen == [["a", "b"]]


def test_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(KeyboardInterrupt()) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_bug_has_a_log_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert raising(KeyError("some-key")) == 70
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    (log,) = tmp_path.glob("warmci-bug-*.log")
    assert str(log) in said.err
    assert "this is a bug in WarmCI: KeyError" in said.err
    text = log.read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in text
    assert "KeyError: 'some-key'" in text
    assert "demo --quick" in text
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (errors.InfraError("no engine", hint="warmci doctor"), 3, "no engine"),
        (errors.BusyError("busy", hint="warmci locks"), 75, "busy"),
        (KeyError("x"), 70, "this is a bug in WarmCI: KeyError"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_with_json_an_error_is_data(
    error: BaseException,
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # a bug's log goes there

    def app(_: Sequence[str]) -> None:
        raise error

    assert exits.run_main(app, ["status", "--json"]) == code
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert set(told) == {"error", "hint", "exit_code", "schema_version"}
    assert told["error"].startswith(message)
    assert told["exit_code"] == code
    assert message in said.err


@pytest.mark.parametrize(
    ("program", "argv"),
    [
        (warmci.main, ["status", "--json", "--no-such"]),
        (warmci.main, ["no-such", "--json"]),
        (run_recipe_ci.main, ["--json"]),
        (run_recipe_ci.main, ["demo", "--json", "--wait", "soon"]),
        (run_recipe_ci.main, ["demo", "--json", "--wait", "1", "--no-wait"]),
    ],
)
def test_wrong_arguments_are_data_too(
    program: Callable[[Sequence[str]], int], argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program(argv) == 2
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["exit_code"], told["schema_version"]) == (2, 1)
    assert told["error"]
    assert said.err


def test_a_recipe_called_json_asks_for_none(capsys: pytest.CaptureFixture[str]) -> None:
    def app(_: Sequence[str]) -> None:
        raise errors.UsageError("no")

    assert exits.run_main(app, ["--", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_verdicts_and_errors_agree() -> None:
    assert EXIT_CODES[Verdict.BUG] == exits.BUG
    assert EXIT_CODES[Verdict.INTERRUPTED] == exits.INTERRUPTED
    assert set(EXIT_CODES.values()) == set(CODES.values()) | {0, 70}
    shared = {Verdict.FAIL, Verdict.REFUSED}
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES) - 1, f"no two verdicts but {shared} share a code"


def child(body: str) -> subprocess.Popen[str]:
    imports = "import sys, time\nfrom warmci.cli.exits import run_main"
    script = f"{imports}\ndef app(argv):\n    {body}\nsys.exit(run_main(app, []))"
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", script], text=True, stdin=pipe, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_run_with_130(number: signal.Signals) -> None:
    with child("print('ready', flush=True); time.sleep(30)") as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline() == "ready\n"
        run.send_signal(number)
        said = run.stderr.read()
        assert run.wait(10) == 130
    assert f"interrupted by {number.name}" in said
    assert "Traceback" not in said


def test_signals_wait_for_a_clean_up() -> None:
    body = (
        "from warmci.base.interrupts import shielded\n"
        "    with shielded():\n"
        "        print('ready', flush=True); sys.stdin.readline(); print('cleaned', flush=True)"
    )
    with child(body) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline() == "ready\n"
        run.send_signal(signal.SIGTERM)
        while "please wait" not in run.stderr.readline():
            assert run.poll() is None
        said, _ = run.communicate("\n", timeout=10)
        assert said == "cleaned\n", "the step was finished first"
        assert run.returncode == 130


def test_a_signal_while_an_error_is_told_changes_nothing() -> None:
    body = (
        "import os, signal; from warmci.base.errors import BusyError\n"
        "    class Told(BusyError):\n"
        "        def __getattribute__(self, name):\n"
        "            if name == 'hint': os.kill(os.getpid(), signal.SIGTERM)\n"
        "            return super().__getattribute__(name)\n"
        "    raise Told('taken', hint='wait')"
    )
    with child(body) as run:
        _, said = run.communicate(timeout=30)
        assert (run.returncode, said) == (75, "error: taken\nhint: wait\n")


def test_of_a_run_one_interrupt_is_enough() -> None:
    """Those that follow, at whatever moment, neither cut its clean-up short nor take its verdict."""
    body = (
        "import os, signal; from contextlib import nullcontext; from warmci.base import errors, interrupts\n"
        "    def interrupt(): os.kill(os.getpid(), signal.SIGTERM)\n"
        "    for shield in (nullcontext, interrupts.shielded):\n"
        "        with interrupts.once():\n"
        "            try:\n"
        "                with shield(): interrupt()\n"
        "            except errors.InterruptedRunError: interrupt(); print('cleaned')\n"
        "    try: interrupt()\n"
        "    except errors.InterruptedRunError: print('heard again')"
    )
    with child(body) as run:
        said, told = run.communicate(timeout=30)
    assert (run.returncode, said.split("\n")[:-1]) == (0, ["cleaned", "cleaned", "heard again"]), told


def test_a_reader_that_has_gone_is_no_failure() -> None:
    with child("sys.stdin.readline(); print('x' * 200000, flush=True)") as run:
        assert run.stdout is not None
        assert run.stdin is not None
        assert run.stderr is not None
        run.stdout.close()
        run.stdin.write("\n")
        run.stdin.close()
        said = run.stderr.read()
        assert run.wait(10) == 0
    assert said == ""


def test_talk_that_nobody_hears_changes_no_exit_code() -> None:
    """Rich would end the program with 1, which says that the recipe failed."""
    argv = [
        sys.executable,
        "-c",
        "import time; time.sleep(0.5); from warmci.run_recipe_ci import entry; entry()",
        "demo",
    ]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        assert run.stderr is not None
        run.stderr.close()
        assert run.wait(20) == 3, "no engine answers"
