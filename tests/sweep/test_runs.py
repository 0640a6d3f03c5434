"""The runs of a sweep with programs in their place: their order, second chances, the budget, and what a crash means."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import wait
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from support.sweep_results import result
from warmci.base import fs, interrupts, process
from warmci.base.errors import InfraError, InterruptedRunError
from warmci.base.models import Verdict
from warmci.base.process import Completed
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.report import alerts, history
from warmci.report.console import Console
from warmci.report.history import History
from warmci.report.sweep_record import SweepItem, load_sweeps
from warmci.sweep import beginning, night, runs
from warmci.sweep.children import Children
from warmci.sweep.runs import run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    mask = os.umask(0o077)
    facts: dict[str, Any] = {"state_dir": open_state(tmp_path / "state").dir, "recipes_dir": tmp_path / "recipes"}
    yield Settings(**facts, max_tests=2, recipes=("a", "b"))
    os.umask(mask)


class FakeChildren(Children):
    """Answers by what the test says of each recipe, in turn."""

    def __init__(self, settings: Settings, answers: dict[str, list[Completed | Exception]]) -> None:
        super().__init__(settings)
        self.answers, self.called = answers, list[str]()

    def call(self, title: str, module: str, *arguments: str) -> Completed:
        self.called.append(title)
        answer = self.answers[title].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def ended(verdict: Verdict, **more: Any) -> Completed:
    found = result(verdict, **more)
    return Completed(found.exit_code, found.model_dump_json(), "talk")


def swept(
    settings: Settings, children: FakeChildren, console: Console | None = None, told: list[SweepItem] | None = None
) -> dict[str, SweepItem]:
    items = [SweepItem(recipe=recipe, reason="r") for recipe in settings.recipes]
    last = {item.recipe: item for item in items}

    def update(item: SweepItem) -> None:
        last[item.recipe] = item
        if told is not None:
            told.append(item)

    console, end = console or Console(quiet=True), time.monotonic() + settings.sweep_budget_s
    run_all(settings, console, "20261124T030000Z-abcdef", items, children, update, end)
    return last


def test_verdicts_are_those_of_the_runs(settings: Settings) -> None:
    children = FakeChildren(settings, {"a": [ended(Verdict.PASS)], "b": [ended(Verdict.FAIL, summary="boom")]})
    last = swept(settings, children)
    assert [(item.state, item.verdict) for item in last.values()] == [("done", Verdict.PASS), ("done", Verdict.FAIL)]
    assert last["b"].summary == "boom"


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (1, Verdict.BUG),
        (0, Verdict.BUG),
        (-9, Verdict.BUG),
        (2, Verdict.USAGE),
        (70, Verdict.BUG),
        (130, Verdict.INTERRUPTED),
    ],
)
def test_a_program_that_left_no_result_is_no_red_recipe(settings: Settings, code: int, verdict: Verdict) -> None:
    dead = Completed(code, "", "Traceback\nModuleNotFoundError: No module named 'warmci'")
    last = swept(settings, FakeChildren(settings, {"a": [dead], "b": [ended(Verdict.PASS)]}))
    assert last["a"].verdict is verdict
    assert "No module named" in last["a"].summary


@pytest.mark.parametrize("first", [ended(Verdict.BUSY), Completed(75, "", "busy"), InfraError("no setpriv")])
def test_trouble_gets_a_second_chance_after_the_others(settings: Settings, first: Completed | Exception) -> None:
    one = settings.model_copy(update={"max_tests": 1})
    children = FakeChildren(one, {"a": [first, ended(Verdict.PASS)], "b": [ended(Verdict.PASS)]})
    last = swept(one, children)
    assert children.called == ["a", "b", "a"]
    assert {item.verdict for item in last.values()} == {Verdict.PASS}
    again = FakeChildren(one, {"a": [ended(Verdict.INFRA)] * 2, "b": [ended(Verdict.PASS)]})
    assert swept(one, again)["a"].verdict is Verdict.INFRA
    assert again.called == ["a", "b", "a"]


def test_what_the_budget_does_not_reach_is_postponed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    one = settings.model_copy(update={"max_tests": 1, "sweep_budget_s": 100.0})
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    children = FakeChildren(one, {"a": [ended(Verdict.PASS)], "b": []})
    real = children.call

    def slow(title: str, module: str, *arguments: str) -> Completed:
        now[0] += 200
        return real(title, module, *arguments)

    monkeypatch.setattr(children, "call", slow)
    last = swept(one, children)
    assert [(item.state, item.verdict) for item in last.values()] == [("done", Verdict.PASS), ("postponed", None)]


def test_who_is_tried_again_is_planned_until_then(settings: Settings) -> None:
    """What is told done is done for the other nodes of a night, and for a sweep that goes on after a stop."""
    one, told = settings.model_copy(update={"max_tests": 1}), list[SweepItem]()
    swept(
        one,
        FakeChildren(one, {"a": [ended(Verdict.BUSY), ended(Verdict.PASS)], "b": [ended(Verdict.PASS)]}),
        None,
        told,
    )
    states = [(item.recipe, item.state) for item in told]
    assert states == [
        ("a", "running"), ("a", "planned"), ("b", "running"), ("b", "done"), ("a", "running"), ("a", "done")
    ]  # fmt: skip


def test_who_was_tried_keeps_what_that_said_when_the_budget_is_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = settings.model_copy(update={"max_tests": 1, "sweep_budget_s": 100.0})
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    children = FakeChildren(one, {"a": [ended(Verdict.BUSY, summary="taken")], "b": [ended(Verdict.PASS)]})
    real = children.call

    def slow(title: str, module: str, *arguments: str) -> Completed:
        now[0] += 60
        return real(title, module, *arguments)

    monkeypatch.setattr(children, "call", slow)
    last = swept(one, children)
    assert (last["a"].state, last["a"].verdict, last["a"].summary) == ("done", Verdict.BUSY, "taken")
    assert last["b"].state == "done"


def test_a_log_hears_once_a_minute(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A night of four hours is 240 lines, not 2,880."""
    now, over = [1000.0], threading.Event()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def look(under_way: Any, timeout: float, return_when: str) -> Any:
        now[0] += timeout
        if now[0] < 1150:
            return SimpleNamespace(done=set())
        over.set()
        return wait(under_way, return_when=return_when)

    monkeypatch.setattr(runs, "wait", look)
    children = FakeChildren(settings, {"a": [ended(Verdict.PASS)], "b": [ended(Verdict.PASS)]})
    real = children.call

    def slow(title: str, module: str, *arguments: str) -> Completed:
        assert over.wait(30)
        return real(title, module, *arguments)

    monkeypatch.setattr(children, "call", slow)
    swept(settings, children, Console())
    said = [line for line in capsys.readouterr().err.splitlines() if line.strip().startswith("sweep: ")]
    assert len(said) == 3, said


def test_a_full_disk_loses_the_log_and_not_the_verdict(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fs, "write_atomic", full)
    last = swept(settings, FakeChildren(settings, {"a": [ended(Verdict.PASS)], "b": [ended(Verdict.PASS)]}))
    assert {item.verdict for item in last.values()} == {Verdict.PASS}


def test_our_own_programs_are_found_without_an_installation(tmp_path: Path) -> None:
    """As on NixOS: the interpreter itself knows no warmci."""
    argv, env = process.own_program("warmci.cli.app", "--help")
    bare = [argv[0], "-S", *argv[1:]]
    done = subprocess.run(bare, env={**env, "PATH": os.environ["PATH"]}, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    nothing = subprocess.run([argv[0], "-S", "-c", "import warmci"], cwd=tmp_path, capture_output=True, check=False)
    assert nothing.returncode == 1
    assert argv[0] == sys.executable


# --- the whole


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(host: str) -> None:
        raise InfraError(f"no Docker engine answers at {host}")

    monkeypatch.setattr(night, "Engine", down)
    monkeypatch.setattr(beginning, "default_head", lambda *_: "")
    known = History(recipe="x", last_promoted=result().started.replace(year=2999))
    monkeypatch.setattr(history, "history_of", lambda recipe, _: known.model_copy(update={"recipe": recipe}))


@pytest.fixture
def answered(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def answer(**answers: list[Completed | Exception]) -> None:
        monkeypatch.setattr(night, "Children", lambda _: FakeChildren(settings, answers))

    return answer


def test_one_part_that_fails_stops_no_other(
    settings: Settings, no_engine: None, answered: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """No engine for recovery and prune, a recipe.toml that is none, a canonical that cannot be read: all runs end."""
    for recipe in settings.recipes:
        (settings.recipes_dir / recipe).mkdir(parents=True)
        (settings.recipes_dir / recipe / "recipe.toml").write_text("needs = [")
    (settings.state_dir / "a").mkdir()
    (settings.state_dir / "a" / "canonical.json").write_text("{")
    answered(a=[ended(Verdict.PASS)], b=[ended(Verdict.PASS)])
    done = night.run_sweep(settings, Console())
    assert {item.verdict for item in done.items} == {Verdict.PASS}
    assert done.exit_code == 3
    assert "recovery: no Docker engine answers" in done.verdict
    assert done.finished is not None
    (alert,) = alerts.standing(settings)
    assert alert.subject == "sweep"
    assert load_sweeps(settings.state_dir) == [done]


def test_a_stopped_sweep_is_gone_on_with(settings: Settings, no_engine: None, answered: Callable[..., None]) -> None:
    class Killed(BaseException):
        pass

    one = settings.model_copy(update={"max_tests": 1})
    answered(a=[ended(Verdict.PASS)], b=[ended(Verdict.PASS)])
    with pytest.MonkeyPatch.context() as patch:

        def die(*_: object) -> None:
            raise Killed

        patch.setattr(runs, "say_end", die)
        with pytest.raises(Killed):
            night.run_sweep(one, Console(quiet=True))
    (stopped,) = load_sweeps(settings.state_dir)
    assert stopped.finished is None
    answered(a=[ended(Verdict.PASS)], b=[ended(Verdict.PASS)])
    only_a = one.model_copy(update={"recipes": ("a",)})
    done = night.run_sweep(only_a, Console(quiet=True))
    assert (done.id, done.resumed) == (stopped.id, 1)
    assert [item.recipe for item in done.items] == ["a"], "b is no longer enrolled"


def test_a_second_interrupt_leaves_the_runs_time_to_clean_up(
    settings: Settings, no_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be killed with the sweep."""
    cleaned = list[str]()

    class CleaningUp(FakeChildren):
        def __init__(self) -> None:
            super().__init__(settings, {})
            self.told = threading.Event()

        def call(self, title: str, module: str, *arguments: str) -> Completed:
            for after_s in (0.1, 0.3):
                threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGTERM)).start()
            assert self.told.wait(30)
            time.sleep(0.5)
            cleaned.append(title)
            return ended(Verdict.INTERRUPTED)

        def stop(self) -> None:
            self.told.set()

    monkeypatch.setattr(night, "Children", lambda _: CleaningUp())
    interrupts.install()
    with pytest.raises(InterruptedRunError):
        night.run_sweep(settings.model_copy(update={"recipes": ("a",)}), Console(quiet=True))
    assert cleaned == ["a"]
