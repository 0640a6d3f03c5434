"""What swarm's API says of the services of a stack at one moment, reduced to what a verdict needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warmci.base.labels import NAMESPACE_LABEL
from warmci.swarm.timestamps import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from warmci.swarm.engine import Engine

DONE_UPDATE = {"", "completed"}
ROLLED_BACK = {"rollback_started", "rollback_completed", "rollback_paused", "paused"}
_DEAD = {"failed", "rejected", "shutdown", "complete", "orphaned", "remove"}
_TO_RUN = {"ready", "running", "complete"}
_NO_NODE = re.compile(r"no suitable node", re.IGNORECASE)
_CONSTRAINTS = re.compile(r"constraints not satisfied", re.IGNORECASE)
# Swarm's own passing troubles during a stop-first update of a host-mode port: no failure of the recipe.
_PASSING = re.compile(r"no suitable node|host-mode port already in use", re.IGNORECASE)
_JOBS = ("ReplicatedJob", "GlobalJob")
# Filled in by swarm, or free to differ: a task is kept where its node meets the new constraints as well.
_NOT_COMPARED = {"Runtime", "Placement"}


@dataclass(frozen=True)
class ServiceState:
    """One service as last seen."""

    name: str
    wanted: int
    running: int
    """Tasks of the asked-for spec that run, or have ended well and are not to run again."""
    update: str
    last_error: str
    failed: tuple[str, ...]
    """Ids of the tasks that swarm still remembers as failed; it forgets the oldest beyond five.

    One whose health check has given it up is among them before swarm has ended it: one that ignores TERM would be
    `running` for its whole grace period.
    """
    ended: frozenset[str]
    """Those of `failed` that exited with 0, though their restart policy starts them again."""
    rejected: frozenset[str]
    failed_container: str
    alive: bool
    """Whether a task runs or is about to."""
    no_node: str
    """Why swarm finds no node for a task, in its words; empty where it does."""
    nowhere: bool
    """A global service without any task: no node meets its constraints, or swarm has not looked yet."""
    tasks: frozenset[tuple[str, str]]
    """(task, container) of each that runs."""
    since: float
    """When the newest running task began to run, in seconds of the epoch; 0 where none does."""
    checked: bool = False
    """Whether its tasks have a health check, so that none runs before it has answered."""

    @property
    def failures(self) -> int:
        return len(self.failed)

    @property
    def settled(self) -> bool:
        return self.running >= self.wanted and self.update in DONE_UPDATE

    def __str__(self) -> str:
        update = f", update {self.update}" if self.update else ""
        error = f", last error: {self.last_error}" if self.last_error else ""
        return f"{self.name} {self.running}/{self.wanted}{update}{error}"


def observe(engine: Engine, stack: str) -> list[ServiceState]:
    """The state of every service of the stack, by name."""
    label = [f"{NAMESPACE_LABEL}={stack}"]
    services, tasks = engine.services(label), engine.tasks(label)
    given_up = engine.unhealthy(label) if any(map(_container, tasks)) else frozenset()
    tasks = [{**task, "GivenUp": True} if _container(task) in given_up else task for task in tasks]
    states = [_state(service, [t for t in tasks if t["ServiceID"] == service["ID"]], stack) for service in services]
    return sorted(states, key=lambda state: state.name)


def _state(service: dict[str, Any], tasks: list[dict[str, Any]], stack: str) -> ServiceState:
    spec = service["Spec"]["TaskTemplate"]
    tasks = sorted(_of_iteration(service, tasks), key=lambda task: str(task["CreatedAt"]))
    fresh = [task for task in tasks if _compared(task["Spec"]) == _compared(spec)]
    update = str((service.get("UpdateStatus") or {}).get("State", ""))
    is_job = any(mode in service["Spec"]["Mode"] for mode in _JOBS)
    once = is_job or (spec.get("RestartPolicy") or {}).get("Condition") in {"none", "on-failure"}
    done = [task for task in fresh if once and task["Status"]["State"] == "complete"]
    running = [
        task
        for task in fresh
        if task["Status"]["State"] == "running" and task["DesiredState"] in _TO_RUN and "GivenUp" not in task
    ]
    # After a roll-back the service's spec is the old one again: what failed is of the other spec.
    failed = _failed([t for t in tasks if t not in fresh] if update in ROLLED_BACK else fresh, once=once)
    if update in ROLLED_BACK and not failed:
        failed = _failed(fresh, once=once)
    last = failed[-1]["Status"] if failed else {}
    waiting = [str(task["Status"]["Err"]) for task in fresh if task["Status"].get("Err")]
    pending = [str(t["Status"].get("Err", "")) for t in fresh if t["Status"]["State"] == "pending"]
    wanted = _wanted(service, tasks, fresh)
    return ServiceState(
        name=service["Spec"]["Name"].removeprefix(f"{stack}_"),
        wanted=wanted,
        running=len(done) + (0 if is_job else len(running)),
        update=update,
        last_error=str(last.get("Err", "")) or (waiting[-1] if waiting else ""),
        failed=tuple(str(task["ID"]) for task in failed),
        ended=_ids(task for task in failed if task["Status"]["State"] == "complete"),
        rejected=_ids(task for task in failed if task["Status"]["State"] == "rejected"),
        failed_container=_container(failed[-1]) if failed else "",
        alive=any(t["DesiredState"] in _TO_RUN and t["Status"]["State"] not in _DEAD for t in tasks),
        no_node=next((_told(text, spec) for text in pending if _NO_NODE.search(text)), ""),
        nowhere=wanted == 0 and any(mode in service["Spec"]["Mode"] for mode in ("Global", "GlobalJob")),
        tasks=frozenset((str(task["ID"]), _container(task)) for task in running),
        since=max((moment(task["Status"].get("Timestamp")) for task in running), default=0.0),
        checked=_has_check(spec),
    )


def _told(words: str, spec: Mapping[str, Any]) -> str:
    """Swarm's words, with what it only counts."""
    asked = (spec.get("Placement") or {}).get("Constraints") or [] if _CONSTRAINTS.search(words) else []
    return f"{words}; it asks for {' and '.join(map(str, asked))}" if asked else words


def _has_check(spec: Mapping[str, Any]) -> bool:
    """By the service's own words; that of an image is not told here."""
    test = ((spec.get("ContainerSpec") or {}).get("Healthcheck") or {}).get("Test") or ["NONE"]
    return bool(test[0] != "NONE")


def _wanted(service: dict[str, Any], tasks: list[dict[str, Any]], fresh: list[dict[str, Any]]) -> int:
    mode = service["Spec"]["Mode"]
    if "Replicated" in mode:
        return int(mode["Replicated"].get("Replicas", 1))
    if "ReplicatedJob" in mode:
        return int(mode["ReplicatedJob"].get("TotalCompletions", 1))
    counted = [*fresh, *(task for task in tasks if task["DesiredState"] == "running")]
    return len({str(task.get("NodeID")) for task in counted})


def _of_iteration(service: dict[str, Any], tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a job, the tasks of its present iteration: each update runs it anew."""
    if "JobStatus" not in service:
        return tasks
    now = _iteration(service["JobStatus"].get("JobIteration"))
    return [task for task in tasks if _iteration(task.get("JobIteration")) == now]


def _iteration(version: dict[str, Any] | None) -> int:
    return int((version or {}).get("Index", 0))


def _compared(spec: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if name not in _NOT_COMPARED and value}


def _failed(tasks: list[dict[str, Any]], *, once: bool) -> list[dict[str, Any]]:
    """Also what ended with 0 and will be started again: an app that obeys TERM does so when its check fails."""
    states = {"failed", "rejected"} if once else {"failed", "rejected", "complete"}
    found = [task for task in tasks if task["Status"]["State"] in states or "GivenUp" in task]
    return [task for task in found if not _PASSING.search(task["Status"].get("Err", ""))]


def _ids(tasks: Iterable[dict[str, Any]]) -> frozenset[str]:
    return frozenset(str(task["ID"]) for task in tasks)


def _container(task: dict[str, Any]) -> str:
    return str((task["Status"].get("ContainerStatus") or {}).get("ContainerID", ""))
