"""The wait for a stack, fed with services and tasks as the engine's API 1.41 tells them, one frame a look."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base.errors import InfraError, RecipeFailedError, WarmciError
from warmci.swarm.convergence import wait_converged
from warmci.swarm.evidence import last_line
from warmci.swarm.service_state import ServiceState, observe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from warmci.swarm.engine import Engine

STACK = "warm-demo_example"
HOST_PORT = "no suitable node (host-mode port already in use on 1 node)"
Frame = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def service(name: str, image: str = "app:2", *, update: str = "", replicas: int | None = 1) -> dict[str, Any]:
    mode = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    found: dict[str, Any] = {
        "ID": f"id-{name}",
        "Version": {"Index": 12},
        "Spec": {
            "Name": f"{STACK}_{name}",
            "Labels": {"com.docker.stack.namespace": STACK},
            "TaskTemplate": {"ContainerSpec": {"Image": image}, "ForceUpdate": 0},
            "Mode": mode,
        },
    }
    if update:
        found["UpdateStatus"] = {"State": update, "StartedAt": "2026-01-01T00:00:00Z", "Message": "update"}
    return found


def task(
    name: str, state: str, *, image: str = "app:2", desired: str = "", at: int = 0, error: str = "", node: str = "n1"
) -> dict[str, Any]:
    status: dict[str, Any] = {"Timestamp": "2026-01-01T00:00:00Z", "State": state, "Message": state}
    if error:
        status["Err"] = error
    if state in {"running", "failed", "starting"}:
        status["ContainerStatus"] = {"ContainerID": f"c-{name}-{at}", "PID": 7, "ExitCode": 1}
    return {
        "ID": f"t-{name}-{at}",
        "CreatedAt": f"2026-01-01T00:00:{at:02}.000000000Z",
        "Spec": {"ContainerSpec": {"Image": image}, "ForceUpdate": 0},
        "ServiceID": f"id-{name}",
        "Slot": 1,
        "NodeID": node,
        "Status": status,
        "DesiredState": desired or ("shutdown" if state in {"failed", "rejected", "shutdown"} else "running"),
    }


def crashed(
    name: str, count: int, *, error: str = "task: non-zero exit (1)", state: str = "failed"
) -> list[dict[str, Any]]:
    return [task(name, state, at=number, error=error) for number in range(count)]


class FakeEngine:
    """Answers one frame a look, the last one for ever."""

    def __init__(self, *frames: Frame, logs: dict[str, str] | None = None) -> None:
        self._frames = list(frames)
        self._logs = {"newest of app": "log of app", **(logs or {})}
        self.containers: dict[str, dict[str, Any]] = {}
        self.given_up: set[str] = set()
        self._on_event: Callable[[], None] = lambda: None
        self.listening = False
        self.looks = 0

    def services(self, labels: list[str]) -> list[dict[str, Any]]:
        assert labels == [f"com.docker.stack.namespace={STACK}"]
        self.looks += 1
        if len(self._frames) > 1:
            self._on_event()
        return self._frames[0][0]

    def tasks(self, labels: list[str]) -> list[dict[str, Any]]:
        found = self._frames[0][1]
        if len(self._frames) > 1:
            self._frames.pop(0)
        return found

    def unhealthy(self, labels: list[str]) -> frozenset[str]:
        assert labels == [f"com.docker.stack.namespace={STACK}"]
        return frozenset(self.given_up)

    @contextmanager
    def events(self, on_event: Callable[[], None]) -> Iterator[None]:
        self._on_event, self.listening = on_event, True
        try:
            yield
        finally:
            self.listening = False

    def container_logs(self, container: str, tail: int) -> str:
        return self._logs.get(container, "")

    def inspect_container(self, container: str) -> dict[str, Any]:
        return self.containers.get(container, {"State": {"Running": True}})

    def service_containers(self, stack: str, service: str, *, running: bool) -> list[dict[str, Any]]:
        assert not running
        return [{"Id": f"newest of {service}", "Created": 1}]


def waited(
    engine: FakeEngine, *, deadline_s: float = 20, logs: dict[str, str] | None = None, lines: list[str] | None = None
) -> list[ServiceState]:
    seen = lines if lines is not None else []
    try:
        return wait_converged(cast("Engine", engine), STACK, deadline_s=deadline_s, on_change=seen.append)
    finally:
        assert not engine.listening


def failure(engine: FakeEngine, *, deadline_s: float = 20, logs: dict[str, str] | None = None) -> WarmciError:
    begin = time.monotonic()
    with pytest.raises(WarmciError) as caught:
        waited(engine, deadline_s=deadline_s)
    assert time.monotonic() - begin < 3, "a failure that is certain is told at once"
    return caught.value


RUNNING: Frame = ([service("app"), service("db")], [task("app", "running"), task("db", "running")])


@pytest.mark.parametrize("update", ["", "completed"])
def test_converged(update: str) -> None:
    frame = ([service("db"), service("app", update=update)], RUNNING[1])
    states = waited(FakeEngine(frame))
    assert [(state.name, state.running, state.wanted) for state in states] == [("app", 1, 1), ("db", 1, 1)]


def test_all_replicas_are_wanted_and_global_services_have_one_per_node() -> None:
    two = [task("app", "running", node="n1"), task("app", "starting", node="n2")]
    for replicas in (2, None):
        (state,) = observe(cast("Engine", FakeEngine(([service("app", replicas=replicas)], two))), STACK)
        assert (state.running, state.wanted, state.settled) == (1, 2, False)
    (none,) = observe(cast("Engine", FakeEngine(([service("app", replicas=0)], []))), STACK)
    assert none.settled


def test_each_change_is_told_once_and_the_old_version_is_not_the_new_one() -> None:
    old = task("app", "running", image="app:1")
    engine = FakeEngine(
        ([service("app")], [old]),
        ([service("app", update="updating")], [old, task("app", "starting", at=1)]),
        ([service("app", update="updating")], [old, task("app", "starting", at=1)]),
        ([service("app", update="updating")], [task("app", "running", at=1)]),
        ([service("app", update="completed")], [task("app", "running", at=1)]),
    )
    lines: list[str] = []
    waited(engine, lines=lines)
    assert lines == ["app 0/1", "app 0/1, update updating", "app 1/1, update updating", "app 1/1, update completed"]


def test_a_running_task_that_is_being_stopped_does_not_count() -> None:
    frame = ([service("app")], [task("app", "running", desired="shutdown")])
    (state,) = observe(cast("Engine", FakeEngine(frame)), STACK)
    assert (state.running, state.alive) == (0, False)


def test_the_engine_has_the_last_word_on_what_swarm_calls_running() -> None:
    engine = FakeEngine(([service("app")], [task("app", "running", at=1)]))
    engine.containers["c-app-1"] = {"State": {"Running": True, "Health": {"Status": "unhealthy", "Log": []}}}
    assert "did not converge" in failure(engine, deadline_s=1.5).message


def test_a_job_counts_when_it_has_ended_in_its_present_iteration() -> None:
    job = service("app")
    job["Spec"]["Mode"] = {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    job["JobStatus"] = {"JobIteration": {"Index": 2}}
    earlier = {**task("app", "complete", desired="complete"), "JobIteration": {"Index": 1}}
    now = {**task("app", "running", desired="complete", at=1), "JobIteration": {"Index": 2}}
    done = {**now, "Status": {"State": "complete"}}
    settled = [
        observe(cast("Engine", FakeEngine(([job], tasks))), STACK)[0].settled
        for tasks in ([earlier], [earlier, now], [earlier, done])
    ]
    assert settled == [False, False, True]


@pytest.mark.parametrize("update", ["rollback_started", "rollback_completed", "rollback_paused", "paused"])
def test_a_rolled_back_update_quotes_the_task_that_failed(update: str) -> None:
    tasks = [
        task("app", "running", image="app:1", at=9),
        task("app", "failed", image="app:2", at=3, error="task: non-zero exit (1)"),
        task("app", "shutdown", image="app:1", at=1),
    ]
    logs = {"c-app-3": "starting\nERROR: column users.theme does not exist\n", "c-app-9": "fine\n"}
    error = failure(FakeEngine(([service("app", "app:1", update=update)], tasks), logs=logs))
    assert isinstance(error, RecipeFailedError)
    assert error.message == f"update of app was rolled back ({update}): ERROR: column users.theme does not exist"
    assert error.log == logs["c-app-3"].strip()


def test_without_a_log_the_task_says_why() -> None:
    tasks = [task("app", "failed", at=3, error="task: non-zero exit (1)")]
    engine = FakeEngine(([service("app", "app:1", update="rollback_completed")], tasks))
    assert failure(engine).message.endswith(": task: non-zero exit (1)")


def test_rejected_tasks() -> None:
    rejected = crashed("app", 3, error="No such image: app:2", state="rejected")
    error = failure(FakeEngine(([service("app")], rejected)))
    assert isinstance(error, RecipeFailedError)
    assert error.message == "swarm rejects the tasks of app: No such image: app:2"


@pytest.mark.parametrize(
    "why",
    [
        "write /x: no space left on device",
        "could not find an available, non-overlapping IPv4 address pools",
        "failed to mount local volume: x",
    ],
)
def test_an_engine_at_fault_is_not_the_recipes(why: str) -> None:
    error = failure(FakeEngine(([service("app")], crashed("app", 3, error=why, state="rejected"))))
    assert isinstance(error, InfraError)
    assert why in error.message
    assert error.exit_code == 3


def test_a_port_that_is_not_free_yet_is_no_failure() -> None:
    services = [service("app", update="updating")]
    passing = crashed("app", 20, error=HOST_PORT, state="rejected")
    pending = task("app", "pending", at=30, error=HOST_PORT)
    settled = ([service("app", update="completed")], [*passing, task("app", "running", at=31)])
    states = waited(FakeEngine((services, passing), (services, [*passing, pending]), settled))
    assert (states[0].failures, states[0].rejected) == (0, frozenset())


def test_the_deadline_shows_the_last_state() -> None:
    tasks = [task("app", "starting"), task("db", "running"), *crashed("app", 1, error="task: non-zero exit (3)")]
    error = failure(FakeEngine(([service("app", update="updating"), service("db")], tasks)), deadline_s=0.3)
    assert isinstance(error, RecipeFailedError)
    assert error.message == (
        f"{STACK} did not converge within 0 s; last seen: "
        "app 0/1, update updating, last error: task: non-zero exit (3); db 1/1"
    )
    assert error.log == "log of app"
    assert "deploy_timeout_s" in str(error.hint)


def test_a_stack_without_services_never_converges() -> None:
    assert "last seen: no services" in failure(FakeEngine(([], [])), deadline_s=0.1).message


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", ""),
        ("one\ntwo\n\n", "two"),
        ("Error: bad\nbye\n", "Error: bad"),
        ("Error: first\nFATAL: second\nat x.js:1\n  at y\n", "FATAL: second"),
        ("pq: no table\n...\n", "pq: no table"),
        ("x" * 400, "x" * 300),
    ],
)
def test_the_line_that_says_why(log: str, line: str) -> None:
    assert last_line(log) == line


def test_a_task_that_its_health_check_has_given_up_counts_as_failed_before_swarm_ends_it() -> None:
    for state in ("starting", "running"):
        engine = FakeEngine(([service("app")], [task("app", state, at=1)]))
        (well,) = observe(cast("Engine", engine), STACK)
        assert (well.failed, well.settled) == ((), state == "running")
        engine.given_up = {"c-app-1"}
        (doomed,) = observe(cast("Engine", engine), STACK)
        assert (doomed.failed, doomed.failed_container, doomed.settled) == (("t-app-1",), "c-app-1", False)
        assert doomed.alive


def test_an_old_task_that_becomes_unhealthy_on_its_way_out_is_none_of_the_new_ones() -> None:
    engine = FakeEngine(
        (
            [service("app")],
            [task("app", "running", image="app:1", desired="shutdown", at=1), task("app", "running", at=2)],
        )
    )
    engine.given_up = {"c-app-1"}
    (state,) = observe(cast("Engine", engine), STACK)
    assert (state.failed, state.settled) == ((), True)


def test_constraints_that_no_node_meets_are_named() -> None:
    asked = {"Constraints": ["node.role==worker", "node.id==abc"]}
    picky = service("app")
    picky["Spec"]["TaskTemplate"]["Placement"] = asked
    for words, told in (
        ("no suitable node (scheduling constraints not satisfied on 3 nodes)", True),
        ("no suitable node (insufficient resources on 3 nodes)", False),
    ):
        waiting = task("app", "pending", error=words)
        (state,) = observe(cast("Engine", FakeEngine(([picky], [waiting]))), STACK)
        assert state.no_node == words + ("; it asks for node.role==worker and node.id==abc" if told else "")
