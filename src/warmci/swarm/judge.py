"""When a stack has converged, and when it never will: a judgement of what is seen over time, without any engine.

One look is not enough for either: a task that crashes is `running` between its crashes, and one that exits 0 because
its health check failed is `running` for an instant (swarmkit takes its end for its start). Nor is one crash a loop:
swarm knows no depends_on, so apps crash until their database answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from warmci.swarm.service_state import ROLLED_BACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from warmci.swarm.service_state import ServiceState

STABLE_S = 1.0
"""How long a task must be seen running."""
CHECKED_S = 0.5
"""The same where it does not run before its health check has answered."""
_STABLE_MAX_S = 30.0
NOWHERE_S = 3.0
"""How long a global service may be without a task until no node is taken to meet its constraints."""
_NO_NODE_S = 5.0
_GIVEN_UP_S = 2.0
_REJECTIONS = 3
_CRASHES = 2
ALONE_S = 5.0
"""How long a service that waits for no other may crash."""
BESIDE_S = 20.0
"""The same beside others that run: a database without a health check is `running` long before it answers."""
# A host-mode port is free as soon as the task before has gone; these stay.
_STUCK = re.compile(
    r"insufficient resources|constraints not satisfied|unsupported platform|missing plugin|max replicas", re.IGNORECASE
)


@dataclass(frozen=True)
class Death:
    """How a failed container ended, as far as that is known."""

    lived_s: float = 0.0
    unhealthy: bool = False


@dataclass(frozen=True)
class Hopeless:
    state: ServiceState
    what: str
    fault: Literal["recipe", "engine"] = "recipe"


@dataclass
class _Seen:
    """What is remembered of one service."""

    first: float
    old: frozenset[str]
    """Failed tasks of before."""
    failed: set[str] = field(default_factory=set)
    tasks: dict[str, float] = field(default_factory=dict)
    """Running task to when it was first seen so."""
    began: dict[str, float] = field(default_factory=dict)
    """The same of all that ever were."""
    first_ran_s: float | None = None
    """For how long the first task that failed was seen running; None while none has failed."""
    longest_s: float = 0.0
    """Longest life of a task that failed."""
    ends_itself: bool = False
    """Whether the newest that failed exited 0 of its own will. Who waits for a database exits with an error."""
    others_since: float | None = None
    others_floor: int = 0
    no_node_since: float | None = None
    dead_since: float | None = None


class Judge:
    """Fed with looks in the order of time. `death` tells how a failed container ended.

    monitors: services whose update swarm does not judge, with the seconds for which it would have watched their first
    task. As swarm's updater does (swarmkit, failureTriggersAction), only that one counts: it must come to run, and
    run so long. checked_s: how long a service with a health check must be seen running.
    """

    def __init__(
        self,
        death: Callable[[str], Death],
        monitors: Mapping[str, float] = MappingProxyType({}),
        *,
        checked_s: float = CHECKED_S,
    ) -> None:
        self._death, self._monitors, self._checked_s = death, monitors, checked_s
        self._seen: dict[str, _Seen] = {}

    def look(self, now: float, states: Sequence[ServiceState]) -> Hopeless | None:
        """Take a look in; what is hopeless, if anything is."""
        for state in states:
            self._note(now, state)
        steady = {state.name: self._is_steady(now, state) for state in states}
        for state in states:
            if found := self._hopeless(now, state, states, steady):
                return found
        return None

    def has_converged(self, now: float, states: Sequence[ServiceState]) -> bool:
        return bool(states) and all(state.settled and self._is_steady(now, state) for state in states)

    def steady_in_s(self, now: float, states: Sequence[ServiceState]) -> float | None:
        """After how many seconds all have run long enough if nothing happens; None while something still has to."""
        if not states or not all(state.settled for state in states):
            return None
        return max(self._steady_at(state) for state in states) - now

    def _note(self, now: float, state: ServiceState) -> None:
        # Of a service that came by way of zero every task of this spec is new, one that fell before the first look too.
        old = frozenset() if state.name in self._monitors else frozenset(state.failed)
        seen = self._seen.setdefault(state.name, _Seen(now, old))
        if set(state.failed) - seen.old - seen.failed:
            if seen.first_ran_s is None:
                first = next(task for task in state.failed if task not in seen.old)
                seen.first_ran_s = now - seen.began.get(first, now)
            seen.failed |= set(state.failed) - seen.old
            death = self._death(state.failed_container) if state.failed_container else Death()
            seen.longest_s = max(seen.longest_s, death.lived_s)
            seen.ends_itself = state.failed[-1] in state.ended and not death.unhealthy
        for task, _ in state.tasks:
            seen.began.setdefault(task, now)
        seen.tasks = {task: seen.tasks.get(task, now) for task, _ in state.tasks}
        seen.no_node_since = (seen.no_node_since or now) if _STUCK.search(state.no_node) else None
        is_dead = state.wanted > state.running and not state.alive and bool(state.failed)
        seen.dead_since = (seen.dead_since or now) if is_dead else None

    def _is_steady(self, now: float, state: ServiceState) -> bool:
        """Each of its tasks has run for a while, and outlived those that crashed before."""
        return state.settled and now >= self._steady_at(state)

    def _steady_at(self, state: ServiceState) -> float:
        seen = self._seen[state.name]
        need = self._checked_s if state.checked else STABLE_S
        if seen.failed:
            need = min(seen.longest_s + need, _STABLE_MAX_S)
        begun = seen.first + NOWHERE_S if state.nowhere else seen.first
        return max((begun, *(since + need for since in seen.tasks.values())))

    def _hopeless(
        self, now: float, state: ServiceState, states: Sequence[ServiceState], steady: dict[str, bool]
    ) -> Hopeless | None:
        seen = self._seen[state.name]
        if failed := self._update_failed(state):
            return Hopeless(state, failed)
        if len(state.rejected) >= _REJECTIONS and not state.settled:
            return Hopeless(state, f"swarm rejects the tasks of {state.name}")
        if seen.no_node_since is not None and now - seen.no_node_since >= _NO_NODE_S:
            return Hopeless(state, f"no node can run {state.name}", "engine")
        if seen.dead_since is not None and now - seen.dead_since >= _GIVEN_UP_S:
            return Hopeless(state, f"service {state.name} has failed and is not started again by its restart policy")
        if self._loops(now, state, states, steady):
            how = "ends by itself again and again" if seen.ends_itself else "crash-loops"
            return Hopeless(state, f"service {state.name} {how} ({len(seen.failed)} tasks)")
        return None

    def _update_failed(self, state: ServiceState) -> str:
        """By swarm's word, or by its measure."""
        if state.update in ROLLED_BACK:
            return f"update of {state.name} was rolled back ({state.update})"
        ran_s, monitor_s = self._seen[state.name].first_ran_s, self._monitors.get(state.name)
        failed = ran_s is not None and monitor_s is not None and ran_s <= monitor_s
        return f"update of {state.name} failed: its new task ended" if failed else ""

    def _loops(self, now: float, state: ServiceState, states: Sequence[ServiceState], steady: dict[str, bool]) -> bool:
        """It fails on, though all that it could wait for is there, or is as hopeless as it is itself."""
        seen = self._seen[state.name]
        others = [other for other in states if other.name != state.name and other.wanted]
        waits_for = [o for o in others if not steady[o.name] and len(self._seen[o.name].failed) < _CRASHES]
        if waits_for or steady[state.name]:
            seen.others_since = None
            return False
        if seen.others_since is None:
            seen.others_since, seen.others_floor = now, len(seen.failed)
            if not others:
                seen.others_since, seen.others_floor = seen.first, 0
        alone = not others or seen.ends_itself
        floor, patience_s = (0, ALONE_S) if alone else (seen.others_floor, BESIDE_S)
        return len(seen.failed) - floor >= _CRASHES and now - seen.others_since >= patience_s
