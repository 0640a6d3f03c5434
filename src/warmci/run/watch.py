"""Watches an app after it has converged: swarm says no more then, and starts again whatever dies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from warmci.base import stopping
from warmci.base.errors import RecipeFailedError
from warmci.swarm import evidence, listening
from warmci.swarm.service_state import observe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmci.swarm.engine import Engine
    from warmci.swarm.service_state import ServiceState

_LOOK_S = 0.5


class Watch:
    """Of one stack, from a convergence to the next."""

    def __init__(self, engine: Engine, stack: str) -> None:
        self._engine, self._stack = engine, stack
        self._failed_before: dict[str, frozenset[str]] = {}
        self._next_look = 0.0

    def begin(self, states: Iterable[ServiceState]) -> None:
        """These have just converged; what failed until then is forgiven."""
        self._failed_before = {state.name: frozenset(state.failed) for state in states}
        self._next_look = 0.0

    def require_alive(self) -> None:
        """Raise RecipeFailedError, with its last words, when a task has failed since. Cheap: looks twice a second."""
        if time.monotonic() >= self._next_look:
            self.look()

    def look(self) -> list[ServiceState]:
        """The services now. Raises as require_alive."""
        states = observe(self._engine, self._stack)
        self._next_look = time.monotonic() + _LOOK_S
        for state in states:
            if set(state.failed) - self._failed_before.get(state.name, frozenset()):
                raise self._late_fault(state)
        return states

    def watch(self, patience_s: float) -> list[ServiceState]:
        """Until each running task has run for patience_s. Returns the services as they are then, settled or not."""
        end = time.monotonic() + patience_s
        while True:
            states = self.look()
            youngest = max((state.since for state in states), default=0.0)
            is_down = not all(state.settled for state in states)
            left_s = min(youngest + patience_s - time.time(), end - time.monotonic())
            if is_down or left_s <= 0:
                return states
            stopping.pause(min(_LOOK_S, left_s))

    def _late_fault(self, state: ServiceState) -> RecipeFailedError:
        seen = evidence.of_container(self._engine, state.failed_container)
        lived_s = evidence.death(self._engine, state.failed_container).lived_s
        after = f" {lived_s:.0f} s after its start" if lived_s else ""
        return RecipeFailedError(
            f"service {state.name} failed{after}, though it had converged: "
            f"{seen.words or state.last_error or 'no word from the task'}",
            hint=seen.hint("the task's log is in the result"),
            log=seen.text,
            service=state.name,
        )

    def why_unreached(self, service: str, port: int | None) -> tuple[str, str]:
        """(what the routed service's sockets or words tell of why nothing answers on that port, its last lines).

        port: None where something listens there, so that its sockets tell nothing.
        """
        running = self._engine.service_containers(self._stack, service)
        newest = max(running, key=lambda item: int(item["Created"]), default=None)
        sockets = listening.listeners(self._engine, str(newest["Id"])) if newest else None
        seen = evidence.of_service(self._engine, self._stack, service)
        return (listening.diagnosis(sockets, port) if port else "") or seen.words, seen.text
