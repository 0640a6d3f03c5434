"""Waits until a stack runs what was asked for, and tells early and precisely when it never will.

Swarm's own word is not enough: `completed` is said during a crash loop, N/N counts old tasks, and a roll-back is
no error to the CLI. So the tasks themselves are looked at: the new spec's, running and healthy.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from warmci.base.errors import InfraError, RecipeFailedError
from warmci.base.labels import NAMESPACE_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.swarm.engine import Engine

_POLL_S = 0.2
_LOG_LINES = 25
_CRASHES_ALONE = 4
"""Failed tasks of one service after all others run: then it is no longer waiting for its database."""
_CRASHES_AT_ALL = 40
_REJECTIONS = 3
_DONE_UPDATE = {"", "completed"}
_ROLLED_BACK = {"rollback_started", "rollback_completed", "rollback_paused", "paused"}
_DEAD = {"failed", "rejected", "shutdown", "complete", "orphaned", "remove"}
# Swarm's own passing troubles during a stop-first update of a host-mode port: no failure of the recipe.
_PASSING = re.compile(r"no suitable node|host-mode port already in use", re.IGNORECASE)
_ENGINE_FAULT = re.compile(r"no space left|address pools|failed to mount local volume", re.IGNORECASE)


@dataclass(frozen=True)
class ServiceState:
    """One service as last seen."""

    name: str
    wanted: int
    running: int
    update: str
    failures: int
    last_error: str
    failed_container: str
    rejected: int
    alive: int
    since: float
    """When the newest running task began to run, in seconds of the epoch; 0 where none does."""

    @property
    def settled(self) -> bool:
        return self.running >= self.wanted and self.update in _DONE_UPDATE

    def __str__(self) -> str:
        update = f", update {self.update}" if self.update else ""
        error = f", last error: {self.last_error}" if self.last_error else ""
        return f"{self.name} {self.running}/{self.wanted}{update}{error}"


def observe(engine: Engine, stack: str) -> list[ServiceState]:
    """The state of every service of the stack, by name."""
    label = [f"{NAMESPACE_LABEL}={stack}"]
    services, tasks = engine.services(label), engine.tasks(label)
    states = [_state(service, [t for t in tasks if t["ServiceID"] == service["ID"]], stack) for service in services]
    return sorted(states, key=lambda state: state.name)


def _wanted(service: dict[str, Any], tasks: list[dict[str, Any]]) -> int:
    mode = service["Spec"]["Mode"]
    if "Replicated" in mode:
        return int(mode["Replicated"].get("Replicas", 1))
    return len({task.get("NodeID") for task in tasks if task["DesiredState"] == "running"}) or 1


def _state(service: dict[str, Any], tasks: list[dict[str, Any]], stack: str) -> ServiceState:
    spec = service["Spec"]["TaskTemplate"]
    # The rest of the two differs by what swarm fills in.
    fresh = [task for task in tasks if task["Spec"].get("ContainerSpec") == spec["ContainerSpec"]]
    fresh.sort(key=lambda task: str(task["CreatedAt"]))
    failed = [task for task in fresh if task["Status"]["State"] in {"failed", "rejected"}]
    failed = [task for task in failed if not _PASSING.search(task["Status"].get("Err", ""))]
    # After a roll-back the service's spec is the old one again: the failed tasks are then those of the other spec.
    update = str((service.get("UpdateStatus") or {}).get("State", ""))
    if update in _ROLLED_BACK:
        failed = sorted(
            (task for task in tasks if task["Status"]["State"] == "failed"), key=lambda task: str(task["CreatedAt"])
        )
    last = failed[-1]["Status"] if failed else {}
    waiting = [str(task["Status"]["Err"]) for task in fresh if task["Status"].get("Err")]
    once = (spec.get("RestartPolicy") or {}).get("Condition") in {"none", "on-failure"}
    ended = [task for task in fresh if once and task["Status"]["State"] == "complete"]
    return ServiceState(
        name=service["Spec"]["Name"].removeprefix(f"{stack}_"),
        wanted=_wanted(service, tasks),
        running=sum(t["Status"]["State"] == "running" and t["DesiredState"] == "running" for t in fresh) + len(ended),
        update=update,
        failures=len(failed),
        last_error=str(last.get("Err", "")) or (waiting[-1] if waiting else ""),
        failed_container=str((last.get("ContainerStatus") or {}).get("ContainerID", "")),
        rejected=sum(task["Status"]["State"] == "rejected" for task in failed),
        since=max((_moment(task) for task in fresh if task["Status"]["State"] == "running"), default=0.0),
        alive=sum(t["DesiredState"] == "running" and t["Status"]["State"] not in _DEAD for t in tasks),
    )


def _moment(task: dict[str, Any]) -> float:
    """The engine writes nanoseconds, more than Python reads."""
    text = str(task["Status"].get("Timestamp", ""))[:26].rstrip("Z")
    return datetime.fromisoformat(f"{text}+00:00").timestamp() if text else 0.0


def wait_converged(
    engine: Engine,
    stack: str,
    *,
    deadline_s: float,
    on_change: Callable[[str], None] = lambda _: None,
) -> list[ServiceState]:
    """Wait until every service runs the spec last submitted, healthy, with its update settled.

    A service that ends well by itself and is not to be restarted counts as running. Raises RecipeFailedError when one
    was rolled back or crash-loops, with the failing task's last log lines, and when deadline_s passes, with the last
    observed state; InfraError when the engine itself is at fault.
    """
    end = time.monotonic() + deadline_s
    wake = threading.Event()
    crash_floor: dict[str, int] = {}
    shown = ""
    with engine.events(wake.set):
        while True:
            states = observe(engine, stack)
            line = "; ".join(str(state) for state in states)
            if line != shown:
                on_change(line)
                shown = line
            if states and all(state.settled for state in states):
                return states
            _fail_early(engine, states, crash_floor)
            if time.monotonic() > end:
                raise RecipeFailedError(
                    f"{stack} did not converge within {deadline_s:.0f} s; last seen: {line or 'no services'}",
                    hint="raise deploy_timeout_s if the app only needs longer",
                    log=_any_log(engine, stack, states),
                )
            wake.wait(_POLL_S)
            wake.clear()


def _fail_early(engine: Engine, states: list[ServiceState], crash_floor: dict[str, int]) -> None:
    for state in states:
        if state.update in _ROLLED_BACK:
            raise _failure(engine, state, f"update of {state.name} was rolled back ({state.update})")
        if state.rejected >= _REJECTIONS:
            raise _failure(engine, state, f"swarm rejects the tasks of {state.name}")
        if state.wanted and not state.alive and state.failures == 0 and state.update in _DONE_UPDATE:
            continue  # nothing scheduled yet
        others_run = all(other.settled for other in states if other.name != state.name)
        if not others_run:
            crash_floor.pop(state.name, None)
        elif not state.settled:
            floor = crash_floor.setdefault(state.name, state.failures)
            if state.failures - floor >= _CRASHES_ALONE:
                raise _failure(engine, state, f"service {state.name} crash-loops ({state.failures} failed tasks)")
        if state.failures >= _CRASHES_AT_ALL:
            raise _failure(engine, state, f"service {state.name} crash-loops ({state.failures} failed tasks)")


def _failure(engine: Engine, state: ServiceState, what: str) -> RecipeFailedError | InfraError:
    log = engine.container_logs(state.failed_container, _LOG_LINES) if state.failed_container else ""
    if _ENGINE_FAULT.search(state.last_error):
        return InfraError(f"{what}: {state.last_error}", hint="warmci doctor")
    said = last_line(log) or state.last_error or "no word from the task"
    return RecipeFailedError(f"{what}: {said}", hint="the task's log is in the result", log=log.strip())


def _any_log(engine: Engine, stack: str, states: list[ServiceState]) -> str:
    unsettled = [state for state in states if not state.settled]
    return engine.service_logs(stack, unsettled[0].name, _LOG_LINES).strip() if unsettled else ""


_NOISE = re.compile(r"^\s*$|^\s*(at |goroutine |\.{3})")


def last_line(log: str) -> str:
    """The line that most likely says why: the last error line, else the last line."""
    lines = [line.strip() for line in log.splitlines() if not _NOISE.match(line)]
    telling = [line for line in lines if re.search(r"error|fatal|panic|must|fail|denied|\bpq:", line, re.IGNORECASE)]
    return (telling or lines or [""])[-1][:300]
