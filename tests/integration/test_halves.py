"""The halves of a cold run side by side: one log, one result, and the first red stops both."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from support.own_recipes import make_recipe, web, with_volume
from warmci.base.locks import held
from warmci.base.models import Ledger

if TYPE_CHECKING:
    from support.bench import Bench
    from warmci.base.models import RunResult, StageResult

pytestmark = pytest.mark.integration
HEAD = "0.2.0+1.0"
BEGAN = "pathlib.Path(__file__).with_name('began')"
BASE_RED = f"while not {BEGAN}.exists(): time.sleep(0.1)\n        assert False, 'the base is red'"
"""Once the fresh half, which begins behind, is at its tests."""
SKIPPED = """
import pytest

@pytest.mark.skip("not today")
def test_it(app):
    raise AssertionError
"""
SEED = """
import pathlib, pytest, time

@pytest.mark.seed
def test_seed(app):
    if app.exec("app", ["sh", "-c", "echo ${V:-old}"]).strip() == "old":
        BASE

def test_it(app):
    INSTALL
"""


def suite_of(base: str, install: str) -> str:
    """What is done where the base is installed, and where the head is or was upgraded to."""
    return SEED.replace("BASE", base).replace("INSTALL", install)


def recipe(bench: Bench, name: str, test: str = "") -> str:
    base = with_volume(web(volumes=["data:/data"], init=True), "data")
    tip = with_volume(web("0.2.0+1.0", volumes=["data:/data"], environment={"V": "2"}, init=True), "data")
    make_recipe(bench, name, tip, [("0.1.0+1.0", base), ("0.2.0+1.0", tip)])
    if test:
        operator = bench.settings.recipes_dir / name
        operator.mkdir()
        (operator / "recipe.toml").write_text("test_timeout_s = 600\n", encoding="utf-8")
        (operator / "test_it.py").write_text(test, encoding="utf-8")
    return name


def span(stages: list[StageResult]) -> tuple[float, float]:
    return min(stage.at or 0 for stage in stages), max((stage.at or 0) + stage.seconds for stage in stages)


def halves(result: RunResult) -> tuple[list[StageResult], list[StageResult]]:
    found = [[stage for stage in result.stages if stage.name.startswith(f"{half}: ")] for half in ("fresh", "upgrade")]
    return found[0], found[1]


def test_side_by_side_where_a_slot_is_free_and_else_in_turn(bench: Bench) -> None:
    name = recipe(bench, "halves-green", SKIPPED)
    both = bench.run(name, "--ref", HEAD, "--pr", "1", WARMCI_MAX_TESTS="2")
    assert both.code == 0, both.stderr
    fresh, aged = map(span, halves(both.result))
    assert fresh[0] < aged[1]
    assert aged[0] < fresh[1]
    assert both.result.images.keys() == both.result.image_names.keys() == {"app"}
    assert "one half after the other" not in both.stderr
    assert {
        "fresh: tests (install): all of the recipe's own (1) were skipped",
        "upgrade: tests (upgrade): all of the recipe's own (1) were skipped",
    } <= set(both.result.deviations)
    assert "1 test passed, 1 skipped" in [stage.detail for stage in both.result.stages]

    alone = bench.run(name, "--ref", HEAD, "--pr", "1", WARMCI_MAX_TESTS="1")
    assert alone.code == 0, alone.stderr
    fresh, aged = map(span, halves(alone.result))
    assert fresh[1] <= aged[0]
    assert "one half after the other: no slot is free" in alone.stderr
    names = [{stage.name for stage in answer.result.stages} for answer in (both, alone)]
    assert names[0] == names[1]
    assert bench.ledger() == Ledger()


def test_the_canonical_comes_of_the_aged_half(bench: Bench) -> None:
    name = recipe(bench, "halves-seed")
    answer = bench.run(name)
    assert answer.code == 0, answer.stderr
    fresh, aged = map(span, halves(answer.result))
    assert aged[0] < fresh[1]
    canonical = bench.store.load(name)
    assert canonical is not None
    assert [past.version for past in canonical.lineage] == ["0.1.0+1.0", "0.2.0+1.0"]
    assert bench.fingerprint(name)
    assert bench.ledger() == Ledger()


def test_the_first_red_stops_the_other_half(bench: Bench) -> None:
    name = recipe(bench, "halves-red", suite_of(base="time.sleep(500)", install="assert False, 'red at once'"))
    answer = bench.run(name, "--ref", HEAD, "--pr", "1")
    assert answer.code == 1, answer.stderr
    assert "red at once" in answer.result.summary
    assert answer.result.seconds < 250
    _, aged = halves(answer.result)
    (stopped,) = [stage for stage in aged if stage.name == "upgrade: tests (base)"]
    assert (stopped.outcome, stopped.detail) == ("skipped", "stopped: the other half is over")
    assert [stage.name for stage in answer.result.stages if stage.outcome == "failed"] == ["fresh: tests (install)"]
    assert bench.ledger() == Ledger()


def test_a_red_base_stops_the_fresh_half(bench: Bench) -> None:
    name = recipe(bench, "halves-upgrade", suite_of(base=BASE_RED, install=f"{BEGAN}.touch(); time.sleep(500)"))
    answer = bench.run(name, "--ref", HEAD, "--pr", "1")
    assert answer.code == 1, answer.stderr
    assert "the base is red" in answer.result.summary
    assert answer.result.seconds < 250
    fresh, _ = halves(answer.result)
    assert ("fresh: tests (install)", "skipped") in [(stage.name, stage.outcome) for stage in fresh]
    assert bench.ledger() == Ledger()


def test_an_interrupt_ends_both(bench: Bench) -> None:
    name = recipe(bench, "halves-interrupt", suite_of(base="time.sleep(500)", install="time.sleep(500)"))
    process = bench.start("run_recipe_ci.py", name, "--ref", HEAD, "--pr", "1", "--json")
    end = time.monotonic() + 120
    while time.monotonic() < end:
        holders = held(bench.settings.state_dir)
        if {"slot-0", "slot-1"} <= holders.keys() and list(bench.settings.runs_dir.glob("*/work/*/pytest-*/log")):
            break
        time.sleep(0.2)
    else:
        process.kill()
        raise AssertionError(f"no second slot: {process.communicate()}")
    process.send_signal(signal.SIGTERM)
    try:
        _, said = process.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 130, said
    assert held(bench.settings.state_dir) == {}
    assert bench.ledger() == Ledger()
