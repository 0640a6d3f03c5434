"""Subnets that swarm has given to a stack while its node still has the network that had them before.

Swarm gives the lowest free subnet, at once. Who removes a network while a container on it still ends (`docker stack rm`
does) leaves it with the node until then, and each task on the new network is rejected (seen on moby 2.0.0-beta.24: for
as long as the old container needs to end, its stop_grace_period at most).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warmci.base.errors import InfraError
from warmci.base.labels import NAMESPACE_LABEL
from warmci.swarm.addresses import ENDED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmci.swarm.engine import Engine

PATIENT_S = 120.0
"""More than most containers get to end."""
REJECTION = re.compile(r"pool overlaps with other one", re.IGNORECASE)
_WAY_OUT = "systemctl restart docker: it still has a removed network with the subnet that swarm gives to the new one"
_FORGOTTEN_S, _POLL_S = 3.0, 0.1


@dataclass(frozen=True)
class _Rejected:
    words: str
    """The engine's."""
    is_over: bool
    """Whether swarm starts no task in its place."""


@dataclass
class HeldSubnets:
    """Of one stack that is waited for."""

    engine: Engine
    stack: str
    _since: float | None = None

    def error(self) -> InfraError | None:
        """That a subnet is held, in the engine's words; None where no service is down for that."""
        words = next((rejected.words for rejected in self._rejected().values()), "")
        return InfraError(f"{self.stack}: {words}", hint=_WAY_OUT) if words else None

    def try_again(self) -> InfraError | None:
        """Start anew what is rejected and not started again by its restart policy; the error when all was in vain.

        A service that is not replicated is left to its policy.
        """
        if not (rejected := self._rejected()):
            self._since = None
            return None
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since > PATIENT_S:
            return self.error()
        over = {service for service, last in rejected.items() if last.is_over}
        for service in self.engine.services(self._label) if over else ():
            if service["ID"] in over and "Replicated" in service["Spec"]["Mode"]:
                self._start_anew(service)
        return None

    @property
    def _label(self) -> list[str]:
        return [f"{NAMESPACE_LABEL}={self.stack}"]

    def _rejected(self) -> dict[str, _Rejected]:
        """Services of which no task runs, and the last that ended was rejected for its subnet."""
        found: dict[str, _Rejected] = {}
        for service, tasks in _by_service(self.engine.tasks(self._label)).items():
            states = {task["Status"]["State"] for task in tasks}
            ended = [task for task in tasks if task["Status"]["State"] in ENDED]
            last = max(ended, key=lambda task: str(task["CreatedAt"]), default=None)
            words = str(last["Status"].get("Err", "")) if last else ""
            if REJECTION.search(words) and "running" not in states:
                found[service] = _Rejected(words, states <= ENDED)
        return found

    def _start_anew(self, service: dict[str, Any]) -> None:
        """By way of zero: an update would be one that swarm rolls back when its first task is rejected again."""
        name, replicas = str(service["Spec"]["Name"]), int(service["Spec"]["Mode"]["Replicated"].get("Replicas", 1))
        self.engine.scale(name, 0)
        end = time.monotonic() + _FORGOTTEN_S
        while service["ID"] in _by_service(self.engine.tasks(self._label)) and time.monotonic() < end:
            time.sleep(_POLL_S)
        self.engine.scale(name, replicas)


def _by_service(tasks: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for task in tasks:
        found.setdefault(str(task["ServiceID"]), []).append(task)
    return found
