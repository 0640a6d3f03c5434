"""Which words a failed container is told by."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from warmci.swarm import evidence
from warmci.swarm.evidence import CHECK_HINT


class Engine:
    """Of one container, as the engine's inspect tells it."""

    def __init__(self, state: dict[str, Any], log: str = "") -> None:
        self.state, self.log = state, log

    def inspect_container(self, _container: str) -> dict[str, Any]:
        check = {"Healthcheck": {"Timeout": 2_000_000_000}}
        return {"State": self.state, "HostConfig": {"Memory": 64 * 2**20}, "Config": check}

    def container_logs(self, _container: str, _tail: int) -> str:
        return self.log


def of(state: dict[str, Any], log: str = "") -> evidence.Evidence:
    return evidence.of_container(cast("Any", Engine(state, log)), "c")


FAILED = {"Log": [{"ExitCode": 1, "Output": "connection refused\n"}]}


def test_a_health_check_that_killed_is_named_with_start_period() -> None:
    seen = of({"Health": {"Status": "unhealthy", **FAILED}}, "listening soon\n")
    said = "its health check gave it up, so swarm kills it; health check (exit 1): connection refused"
    assert seen.words == said
    assert seen.hint("other") == CHECK_HINT
    assert "start_period" in CHECK_HINT
    told = of({"Health": {"Status": "unhealthy", **FAILED}}, "FATAL: no database\nbye\n")
    assert told.words == f"{said}; its log: FATAL: no database"


@pytest.mark.parametrize(
    ("state", "log", "words"),
    [
        ({"Health": {"Status": "starting", **FAILED}}, "panic: no config\n", "panic: no config"),
        ({"Health": {"Status": "starting", **FAILED}}, "", "health check (exit 1): connection refused"),
        ({}, "bye\n", "bye"),
        (
            {"OOMKilled": True, "ExitCode": 137, "Health": {"Status": "unhealthy", **FAILED}},
            "",
            "exit 137: the kernel killed it, out of memory (OOM), its limit is 64 MiB",
        ),
    ],
)
def test_what_else_ended_it_is_told_as_that(state: dict[str, Any], log: str, words: str) -> None:
    seen = of(state, log)
    assert seen.words == words
    assert seen.hint("other") == "other"


@pytest.mark.parametrize(
    ("seconds", "output", "said"),
    [
        (2, "", "health check (exit 137): no end within its timeout of 2 s"),
        (3, "asking\n", "health check (exit 137): no end within its timeout of 2 s; asking"),
        (2, "Health check exceeded timeout (2s)", "health check (exit 137): Health check exceeded timeout (2s)"),
        (1, "", "health check (exit 137): no output"),
    ],
)
def test_a_probe_that_never_ends_is_told_as_that(seconds: int, output: str, said: str) -> None:
    began, ended = "2026-11-26T01:20:00.000000001Z", f"2026-11-26T01:20:0{seconds}.000000002Z"
    probe = {"ExitCode": 137, "Output": output, "Start": began, "End": ended}
    assert of({"Health": {"Status": "unhealthy", "Log": [probe]}}).check == said


def test_one_that_is_given_up_and_still_runs_has_lived_until_now() -> None:
    state = {
        "Running": True,
        "StartedAt": datetime.fromtimestamp(time.time() - 7, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {"Status": "unhealthy", **FAILED},
    }
    death = evidence.death(cast("Any", Engine(state)), "c")
    assert death.unhealthy
    assert 7 <= death.lived_s < 60
