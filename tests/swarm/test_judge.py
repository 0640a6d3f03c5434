"""The judgement over time, with a clock of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmci.swarm import service_state
from warmci.swarm.judge import ALONE_S, BESIDE_S, CHECKED_S, NOWHERE_S, STABLE_S, Death, Hopeless, Judge
from warmci.swarm.service_state import ServiceState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def state(name: str, *, up: int = 0, crashes: int = 0, ended: int = 0, **more: Any) -> ServiceState:
    """One of one replica that runs as task number `up`, or does not; crashes and ends are tasks of before."""
    failed = tuple(f"{name}-f{number}" for number in range(crashes + ended))
    values: dict[str, Any] = {
        "name": name,
        "wanted": 1,
        "running": 1 if up else 0,
        "update": "",
        "last_error": "",
        "failed": failed,
        "ended": frozenset(failed[crashes:]),
        "rejected": frozenset(),
        "failed_container": f"c-{failed[-1]}" if failed else "",
        "alive": True,
        "no_node": "",
        "nowhere": False,
        "tasks": frozenset({(f"{name}-{up}", "c")}) if up else frozenset(),
        "since": 0.0,
    }
    return ServiceState(**(values | more))


def run(
    frames: Callable[[float], Sequence[ServiceState]],
    *,
    until: float = 300.0,
    death: Callable[[str], Death] = lambda _: Death(),
) -> tuple[float, Hopeless | None]:
    """Look every tenth of a second: when it ended, and whether it was hopeless."""
    judge, now = Judge(death), 0.0
    while now < until:
        states = frames(now)
        if hopeless := judge.look(now, states):
            return now, hopeless
        if judge.has_converged(now, states):
            return now, None
        now = round(now + 0.1, 1)
    raise AssertionError(f"no judgement within {until} s")


def crashing(name: str, now: float, *, cycle_s: float, lives_s: float = 0.0, ended: bool = False) -> ServiceState:
    """Crashes for ever: it runs for lives_s in each cycle."""
    times, into = divmod(now, cycle_s)
    runs = into < lives_s
    count = int(times) + (0 if runs else 1)
    return state(name, up=int(times) + 1 if runs else 0, **{"ended" if ended else "crashes": count})


def test_one_that_runs_is_believed_after_a_while() -> None:
    assert run(lambda _: [state("app", up=1), state("db", up=1)]) == (STABLE_S, None)


def test_one_that_runs_only_once_its_check_has_answered_is_believed_sooner() -> None:
    assert run(lambda _: [state("app", up=1, checked=True)]) == (CHECKED_S, None)
    assert run(lambda _: [state("app", up=1, checked=True), state("db", up=1)]) == (STABLE_S, None)
    fallen = state("app", up=1, crashes=1, checked=True)
    when, hopeless = run(
        lambda now: [state("app", checked=True) if now < 1 else fallen], death=lambda _: Death(lived_s=2.0)
    )
    assert (when, hopeless) == (1.0 + 2.0 + CHECKED_S, None)


@pytest.mark.parametrize(
    ("check", "has_one"),
    [
        (None, False),
        ({}, False),
        ({"Test": []}, False),
        ({"Test": ["NONE"]}, False),
        ({"Test": ["CMD", "true"], "Interval": 200_000_000}, True),
        ({"Test": ["CMD-SHELL", "true"]}, True),
    ],
)
def test_a_health_check_is_what_the_service_says(check: dict[str, Any] | None, *, has_one: bool) -> None:
    assert service_state._has_check({"ContainerSpec": {"Healthcheck": check}}) is has_one
    assert service_state._has_check({}) is False


def test_a_running_task_that_is_replaced_begins_anew() -> None:
    when, hopeless = run(lambda now: [state("app", up=1 if now < 0.9 else 2)])
    assert hopeless is None
    assert 0.9 + STABLE_S <= when <= 1.1 + STABLE_S


@settings(deadline=None, max_examples=60)
@given(cycle_s=st.floats(0.2, 9.0), share=st.floats(0.0, 0.95), ended=st.booleans())
def test_no_crash_loop_ever_converges(cycle_s: float, share: float, *, ended: bool) -> None:
    lives_s = share * cycle_s
    when, hopeless = run(
        lambda now: [crashing("app", now, cycle_s=cycle_s, lives_s=lives_s, ended=ended)],
        death=lambda _: Death(lives_s),
    )
    # The first life is not known to end: nothing can tell it from an app that is well.
    assert hopeless is not None or (lives_s >= STABLE_S and when <= lives_s)


def test_a_crash_loop_alone_is_told_within_seconds_and_beside_others_after_patience() -> None:
    when, hopeless = run(lambda now: [crashing("app", now, cycle_s=0.3)])
    assert when == ALONE_S
    assert hopeless is not None
    assert hopeless.what.startswith("service app crash-loops")
    when, _ = run(lambda now: [crashing("app", now, cycle_s=5.0), state("db", up=1)])
    assert STABLE_S + BESIDE_S <= when <= STABLE_S + BESIDE_S + 0.2


def test_who_exits_with_0_again_and_again_waits_for_nobody() -> None:
    when, hopeless = run(lambda now: [crashing("app", now, cycle_s=6.0, lives_s=1.0, ended=True), state("db", up=1)])
    assert when < 2 * 6.0
    assert hopeless is not None
    assert "ends by itself again and again" in hopeless.what
    polite = Death(1.0, unhealthy=True)
    when, hopeless = run(
        lambda now: [crashing("app", now, cycle_s=6.0, lives_s=1.0, ended=True), state("db", up=1)],
        death=lambda _: polite,
    )
    assert when >= BESIDE_S
    assert hopeless is not None
    assert "crash-loops" in hopeless.what


@settings(deadline=None, max_examples=60)
@given(up_after_s=st.floats(0.0, 120.0), delay_s=st.floats(0.1, 6.0))
def test_crashes_while_the_database_is_not_up_are_patience(up_after_s: float, delay_s: float) -> None:
    def frames(now: float) -> list[ServiceState]:
        up = now >= up_after_s
        crashes = int(min(now, up_after_s) / delay_s)
        return [state("app", up=9999 if up else 0, crashes=crashes), state("db", up=1 if up else 0)]

    _, hopeless = run(frames)
    assert hopeless is None


def test_two_that_crash_because_of_each_other_are_told() -> None:
    _, hopeless = run(lambda now: [crashing("app", now, cycle_s=5.0), crashing("db", now, cycle_s=5.0)])
    assert hopeless is not None


def test_what_follows_a_crash_is_believed_when_it_has_outlived_it() -> None:
    def frames(now: float) -> list[ServiceState]:
        return [state("app", up=1)] if now < 0.5 else [state("app", up=2, crashes=1)]

    when, hopeless = run(frames, death=lambda _: Death(4.0))
    assert (when, hopeless) == (0.5 + 4.0 + STABLE_S, None)


def test_crashes_of_before_are_not_counted() -> None:
    assert run(lambda _: [state("app", up=1, crashes=4)]) == (STABLE_S, None)


def test_a_global_service_is_given_time_to_find_its_nodes() -> None:
    when, hopeless = run(lambda _: [state("gpu", wanted=0, nowhere=True), state("app", up=1)])
    assert (when, hopeless) == (NOWHERE_S, None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("no suitable node (insufficient resources on 1 node)", True),
        ("no suitable node (host-mode port already in use on 1 node; insufficient resources on 2 nodes)", True),
        ("no suitable node (scheduling constraints not satisfied on 1 node)", True),
        ("no suitable node (host-mode port already in use on 1 node)", False),
    ],
)
def test_no_node_is_the_engines_fault_unless_it_passes(words: str, *, told: bool) -> None:
    when, hopeless = run(lambda now: [state("app", no_node=words) if now < 60 else state("app", up=1)])
    assert (hopeless is not None and hopeless.fault == "engine") == told
    assert when < 20 if told else when >= 60


def test_one_whose_restart_policy_gives_up_is_told_at_once() -> None:
    when, hopeless = run(lambda _: [state("app", crashes=1, alive=False), state("db", up=1)])
    assert when <= 3
    assert hopeless is not None


def judged(monitor_s: float, frames: list[tuple[float, ServiceState]]) -> list[str]:
    judge = Judge(lambda _: Death(), {"app": monitor_s})
    found = (judge.look(now, [seen, state("db", up=1)]) for now, seen in frames)
    return [hopeless.what for hopeless in found if hopeless]


FELL = state("app", crashes=1)
RUNS = state("app", up=9)


@pytest.mark.parametrize(
    ("frames", "is_red"),
    [
        ([(0.0, state("app")), (1.0, FELL)], True),
        ([(0.0, FELL)], True),  # before the first look
        ([(0.0, state("app")), (1.0, RUNS), (2.0, RUNS)], False),
    ],
)
def test_the_first_task_of_an_update_that_swarm_does_not_judge(
    frames: list[tuple[float, ServiceState]], *, is_red: bool
) -> None:
    assert judged(0.5, frames) == (["update of app failed: its new task ended"] if is_red else [])
    assert Judge(lambda _: Death()).look(1.0, [FELL]) is None


@pytest.mark.parametrize(("ran_s", "is_red"), [(0.1, True), (0.4, True), (0.9, False)])
def test_a_first_task_must_run_for_as_long_as_swarm_would_watch_it(ran_s: float, *, is_red: bool) -> None:
    up = state("app", up=1, tasks=frozenset({("app-f0", "c")}))
    said = judged(0.5, [(0.0, state("app")), (1.0, up), (1.0 + ran_s, FELL), (5.0, state("app", crashes=1, up=2))])
    assert bool(said) == is_red


def test_a_later_task_that_falls_is_no_failed_update() -> None:
    up = state("app", up=1, tasks=frozenset({("app-f0", "c")}))
    later = [(5.0, state("app", crashes=1, up=2)), (5.1, state("app", crashes=2))]
    assert judged(0.5, [(0.0, state("app")), (1.0, up), (4.0, FELL), *later]) == []


@pytest.mark.parametrize(("checked", "need"), [(True, CHECKED_S), (False, STABLE_S)])
def test_it_is_known_when_all_will_have_run_long_enough(checked: bool, need: float) -> None:
    judge = Judge(lambda _: Death())
    states = [state("app", up=1, checked=checked), state("db")]
    judge.look(10.0, states)
    assert judge.steady_in_s(10.0, states) is None  # the database is still to come
    states[1] = state("db", up=1, checked=True)
    judge.look(10.1, states)
    left_s = judge.steady_in_s(10.1, states)
    assert left_s is not None
    assert left_s == pytest.approx(max(need - 0.1, CHECKED_S))
    assert not judge.has_converged(10.1, states)
    assert judge.has_converged(10.1 + left_s + 1e-9, states)


def test_what_is_known_to_be_good_need_only_be_seen_running_where_its_health_is_checked() -> None:
    judge = Judge(lambda _: Death(), checked_s=0.0)
    checked, unchecked = state("app", up=1, checked=True), state("db", up=1)
    judge.look(0.0, [checked, unchecked])
    assert judge.has_converged(0.0, [checked])
    assert not judge.has_converged(STABLE_S - 0.1, [checked, unchecked])
    assert judge.has_converged(STABLE_S, [checked, unchecked])
