"""The quick profile's checks beside the recipe's own, by both engines' clocks."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warmci.recipe.healthcheck import check_interval_s, quicken, seconds, step_s

NEVER = 1e9
DURATIONS = ["50ms", "200ms", "1s", "1.5s", "5s", "10s", "30s", "1m30s"]
CHECKS = st.fixed_dictionaries(
    {"test": st.just(["CMD", "true"])},
    optional={
        "interval": st.sampled_from([*DURATIONS, "0s"]),
        "retries": st.integers(0, 50),
        "start_period": st.sampled_from([*DURATIONS, "0s", "10m"]),
        "start_interval": st.sampled_from(DURATIONS),
        "timeout": st.just("3s"),
    },
)


@dataclass(frozen=True)
class Clock:
    """An engine and an app on it; a check that fails takes takes_s."""

    knows_start_interval: bool
    takes_s: float = 0.0
    ready_at_s: float = NEVER


def judged(check: dict[str, Any], clock: Clock) -> tuple[str, float]:
    """What becomes of a container and when, as moby's daemon/health.go decides."""
    interval = seconds(check.get("interval"), 0) or 30
    period = seconds(check.get("start_period"), 0)
    at_start = (seconds(check.get("start_interval"), 0) or 5) if clock.knows_start_interval else interval
    now, streak = 0.0, 0
    while True:
        now += at_start if now < period else interval
        if now >= clock.ready_at_s:
            return "healthy", now
        if now >= period:
            streak += 1
        now += clock.takes_s
        if streak >= (check.get("retries") or 3):
            return "unhealthy", now


def quick(check: dict[str, Any], others: int) -> dict[str, Any]:
    checks = [copy.deepcopy(check), *({"test": "true"} for _ in range(others))]
    quicken({f"s{number}": {"healthcheck": body} for number, body in enumerate(checks)})
    return checks[0]


@given(CHECKS, st.integers(0, 40), st.booleans(), st.sampled_from([0.0, 0.03, 1.0, 3.0]))
@example({"test": "true"}, 0, True, 0.0)
def test_never_less_patient(check: dict[str, Any], others: int, knows_start_interval: bool, takes_s: float) -> None:
    clock = Clock(knows_start_interval, takes_s)
    _, cold_s = judged(check, clock)
    _, quick_s = judged(quick(check, others), clock)
    assert quick_s >= cold_s - 1e-3


@given(CHECKS, st.integers(0, 40), st.booleans(), st.floats(0, 700))
def test_never_later_than_one_step(
    check: dict[str, Any], others: int, knows_start_interval: bool, ready_at_s: float
) -> None:
    clock = Clock(knows_start_interval, ready_at_s=ready_at_s)
    verdict, cold_s = judged(check, clock)
    changed = quick(check, others)
    quick_verdict, quick_s = judged(changed, clock)
    if verdict == "healthy":
        assert quick_verdict == "healthy"
        assert quick_s <= cold_s + seconds(changed.get("interval"), 30) + 1e-6
        assert quick_s <= ready_at_s + (seconds(changed.get("interval"), 0) or 30) + 1e-6


@given(CHECKS, st.integers(0, 40))
def test_the_first_check_is_never_later(check: dict[str, Any], others: int) -> None:
    for knows_start_interval in (False, True):
        clock = Clock(knows_start_interval, ready_at_s=0.0)
        assert judged(quick(check, others), clock)[1] <= judged(check, clock)[1]


@given(CHECKS, st.integers(0, 40))
def test_what_is_left_alone(check: dict[str, Any], others: int) -> None:
    changed = quick(check, others)
    assert {key: changed.get(key) for key in ("test", "timeout")} == {
        key: check.get(key) for key in ("test", "timeout")
    }
    if changed != check:
        assert not changed.keys() & {"start_period", "start_interval"}


@pytest.mark.parametrize(("others", "interval"), [(0, "200ms"), (1, "400ms"), (4, "1000ms"), (100, "20s")])
def test_the_more_services_the_longer_the_interval(others: int, interval: str) -> None:
    assert quick({"test": "true", "interval": "20s"}, others)["interval"] == interval


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (
            {"test": "x", "interval": "10s", "retries": 5, "start_period": "1m"},
            ["app: healthcheck every 10s, 5 retries after 60s → every 0.2s, 550 retries"],
        ),
        ({"test": "x"}, ["app: healthcheck every 30s, 3 retries → every 0.2s, 450 retries"]),
        ({"test": "x", "interval": "100ms", "retries": 5}, []),
        ({"interval": "30s"}, []),
        ({"disable": True}, []),
        ({"test": ["NONE"], "interval": "5s"}, []),
    ],
)
def test_what_is_said(check: dict[str, Any], said: list[str]) -> None:
    before = copy.deepcopy(check)
    assert quicken({"app": {"healthcheck": check}, "db": {"image": "x"}}) == said
    assert (check == before) == (not said)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1m30s", 90),
        ("30s", 30),
        ("500ms", 0.5),
        ("1h", 3600),
        ("1.5s", 1.5),
        ("10us", 1e-5),
        (None, 7),
        ("", 7),
        ("x", 7),
    ],
)
def test_durations_of_go(text: str | None, expected: float) -> None:
    assert seconds(text, 7) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({}, 5),
        ({"healthcheck": {"disable": True, "test": "x"}}, 5),
        ({"healthcheck": {"test": "x"}}, 30),
        ({"healthcheck": {"test": "x", "interval": "2s"}}, 2),
        ({"healthcheck": {"test": "x", "interval": "10m"}}, 30),
    ],
)
def test_how_long_a_service_may_be_broken_unnoticed(service: dict[str, Any], expected: float) -> None:
    assert check_interval_s(service) == expected


def test_an_idle_host_is_asked_more_often_than_a_busy_one() -> None:
    assert [step_s(load, 2) for load in (0.0, 3.0, 3.1, 6.0, 6.1, 80.0)] == [0.1, 0.1, 0.2, 0.2, 0.4, 0.4]
    for each_s, interval in ((0.1, "200ms"), (0.4, "800ms")):
        services = {name: {"healthcheck": {"test": ["CMD", "x"], "interval": "10s"}} for name in ("app", "db")}
        quicken(services, each_s)
        assert {service["healthcheck"]["interval"] for service in services.values()} == {interval}
