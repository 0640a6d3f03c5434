"""Waits until a stack runs what was asked for, and tells early and precisely when it never will.

Swarm's own word is not enough: `completed` is said during a crash loop, N/N counts old tasks, and a roll-back is
no error to the CLI. So the tasks themselves are looked at: the new spec's, running and healthy, for a while.
"""

from __future__ import annotations

import re
import threading
import time
from types import MappingProxyType
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, RecipeFailedError
from warmci.base.stopping import require_wanted
from warmci.swarm import evidence
from warmci.swarm.judge import CHECKED_S, Judge
from warmci.swarm.service_state import observe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from warmci.base.errors import WarmciError
    from warmci.swarm.by_zero import Monitor
    from warmci.swarm.engine import Engine
    from warmci.swarm.judge import Hopeless
    from warmci.swarm.service_state import ServiceState

_POLL_S = 0.2
_SOON_S, _SOON_POLL_S = 0.25, 0.05
"""The swarm says of a task that it runs a moment after the engine's event, and no event tells that."""
_AT_LEAST_S = 0.02
_ASIDE_S = 5.0
# What this host has not, or has not left; another would run it.
_ENGINE_FAULT = re.compile(
    r"no space left|address pools|failed to mount local volume|range of cpus is from|could not select device driver"
    r"|unknown or invalid runtime name|your kernel does not support|too many open files in system",
    re.IGNORECASE,
)


def wait_converged(
    engine: Engine,
    stack: str,
    *,
    deadline_s: float,
    on_change: Callable[[str], None] = lambda _: None,
    aside: Callable[[], WarmciError | None] = lambda: None,
    monitors: Mapping[str, Monitor | None] = MappingProxyType({}),
    checked_s: float = CHECKED_S,
) -> list[ServiceState]:
    """Wait until every service runs the spec last submitted, healthy, with its update settled, and stays so a while.

    A job, and a service that ends well by itself and is not to be restarted, counts when it has ended. Raises
    RecipeFailedError when one was rolled back or crash-loops, with the failing task's last log lines, and when
    deadline_s passes, with the last observed state; InfraError when the engine itself is at fault, or no node will do;
    and what `aside`, asked now and then, finds.
    monitors: of services that are upgraded by way of zero, whose update swarm does not judge.
    checked_s: for how long what its health check has answered for must be seen running.
    """
    end = time.monotonic() + deadline_s
    wake = threading.Event()
    limits = {name: monitor.seconds for name, monitor in monitors.items() if monitor is not None}
    judge = Judge(lambda container: evidence.death(engine, container), limits, checked_s=checked_s)
    shown, asked = "", time.monotonic()
    soon = 0.0
    with engine.events(wake.set):
        while True:
            states = observe(engine, stack)
            now = time.monotonic()
            line = "; ".join(str(state) for state in states)
            if line != shown:
                on_change(line)
                shown = line
            if hopeless := judge.look(now, states):
                raise failure(engine, hopeless)
            if judge.has_converged(now, states) and evidence.all_up(engine, _containers(states)):
                return states
            if now - asked >= _ASIDE_S:
                asked = now
                if error := aside():
                    raise error
            if now > end:
                raise _too_late(engine, stack, states, deadline_s)
            step_s = _POLL_S if now > soon else _SOON_POLL_S
            if (steady_in_s := judge.steady_in_s(now, states)) is not None:
                # Past that, the engine itself does not say so yet.
                step_s = min(step_s, max(steady_in_s, _AT_LEAST_S)) if steady_in_s > 0 else _SOON_POLL_S
            if wake.wait(step_s):
                wake.clear()
                soon = time.monotonic() + _SOON_S
            require_wanted()


def _containers(states: Sequence[ServiceState]) -> list[str]:
    return [container for state in states for _, container in state.tasks]


def failure(engine: Engine, hopeless: Hopeless) -> RecipeFailedError | InfraError:
    """The error that tells it, with the words of who knows best."""
    state, what = hopeless.state, hopeless.what
    if hopeless.fault == "engine":
        return InfraError(f"{what}: {state.no_node}", hint="give the swarm a node that can, see docker node ls")
    seen = evidence.of_container(engine, state.failed_container)
    if _ENGINE_FAULT.search(state.last_error):
        return InfraError(f"{what}: {state.last_error}", hint="warmci doctor")
    words = seen.words or state.last_error or "no word from the task"
    hint = seen.hint("the task's log is in the result")
    return RecipeFailedError(f"{what}: {words}", hint=hint, log=seen.text, service=state.name)


def _too_late(engine: Engine, stack: str, states: list[ServiceState], deadline_s: float) -> WarmciError:
    seen = "; ".join(str(state) for state in states) or "no services"
    message = f"{stack} did not converge within {deadline_s:.0f} s; last seen: {seen}"
    if any(state.no_node for state in states):
        return InfraError(message, hint="see docker node ls; who else publishes that port on this host?")
    late = [state for state in states if not state.settled]
    found = evidence.of_service(engine, stack, late[0].name) if late else evidence.Evidence()
    hint = found.hint("raise deploy_timeout_s if the app only needs longer")
    return RecipeFailedError(message, hint=hint, log=found.text)
