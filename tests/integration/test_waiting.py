"""Waiting for a recipe and a slot: bounded, said, and visible to others."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from warmci.base.locks import Holder, app_lock, slot
from warmci.base.models import Verdict
from warmci.base.state import open_state
from warmci.operate import lock_table

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.integration


def works(bench: Bench) -> list[Path]:
    return list(bench.settings.runs_dir.glob("*/work"))


def test_busy_is_said_at_once_or_after_the_wait(bench: Bench) -> None:
    state = open_state(bench.settings.state_dir).dir
    holder = Holder.here("run-a", "custom-html", "run quick", "roll back", "12")
    with app_lock(state, "custom-html", holder, wait_s=5):
        at_once = bench.run("custom-html", "--no-wait")
        began = time.monotonic()
        later = bench.run("custom-html", "--wait", "1.5")
        assert time.monotonic() - began >= 1.5
    for answer in (at_once, later):
        assert answer.code == 75, answer.stderr
        assert answer.result.verdict is Verdict.BUSY
        assert "held by run run-a of custom-html PR 12 (run quick, pid" in answer.stderr
        assert "no cold pipeline ran" in answer.stderr
    assert "waiting for run run-a" in later.stderr
    assert "waiting for" not in at_once.stderr
    assert works(bench) == []


def test_a_run_that_is_stopped_while_it_waits_leaves_nothing(bench: Bench) -> None:
    state = open_state(bench.settings.state_dir).dir
    with app_lock(state, "custom-html", Holder.here("run-a", "custom-html", "run quick"), wait_s=5):
        process = bench.start("run_recipe_ci.py", "custom-html", "--wait", "60")
        assert process.stderr
        while "waiting for run run-a" not in (line := process.stderr.readline()):
            assert line, "it ended before it waited"
        assert len(works(bench)) == 1
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert works(bench) == []


def test_a_run_waits_for_a_slot_and_says_so(bench: Bench) -> None:
    state = open_state(bench.settings.state_dir).dir
    with slot(state, 1, Holder.here("run-a", "other", "run cold"), wait_s=5):
        answer = bench.run("custom-html", "--wait", "1", MAX_TESTS="1")
    assert answer.code == 75, answer.stderr
    assert "all 1 slots of this host: busy" in answer.stderr


def test_a_run_shows_its_pull_request_and_its_phase(bench: Bench) -> None:
    process = bench.start("run_recipe_ci.py", "custom-html", "--ref", "main", "--pr", "12")
    phases: set[str] = set()
    try:
        deadline = time.monotonic() + 60
        while "checkout" not in phases or len(phases) < 3:
            assert time.monotonic() < deadline, phases
            for item in lock_table.look(bench.settings):
                # A cold run of a pull request takes no recipe's lock, but a slot.
                if item.recipe == "custom-html" and item.phase:
                    assert (item.pr, item.holder) == ("12", "run cold")
                    assert item.lock.startswith("slot-")
                    phases.add(item.phase)
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert not [item for item in lock_table.look(bench.settings) if item.recipe == "custom-html"]
