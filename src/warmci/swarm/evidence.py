"""What a failed task leaves behind: its last lines, its health check's last output, the kernel's word."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warmci.swarm.judge import Death
from warmci.swarm.timestamps import moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmci.swarm.engine import Engine

LOG_LINES = 25
_PROBE_S = 30.0
"""A health check's timeout where nobody set one; the engine's default."""
CHECK_HINT = "a longer healthcheck.start_period, if it only starts slowly; else run its command in the container"
_NOISE = re.compile(r"^\s*$|^\s*(at |goroutine |\.{3})")
_TELLING = re.compile(
    r"error|fatal|panic|must|fail|denied|\bpq:|no space|not set|not found|cannot|can't|missing|refused|killed",
    re.IGNORECASE,
)


def last_line(log: str) -> str:
    """The line that most likely says why: the last error line, else the last line."""
    lines = [line.strip() for line in log.splitlines() if not _NOISE.match(line)]
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines or [""])[-1][:300]


@dataclass(frozen=True)
class Evidence:
    """Of one container, which may be gone by now: then all is empty."""

    killed: str = ""
    """The kernel's word."""
    check: str = ""
    """The last output of a health check that fails."""
    log: str = ""
    unhealthy: bool = False
    """Whether its health check gave it up, which is when swarm kills it."""

    @property
    def words(self) -> str:
        """The one line that says most."""
        line = last_line(self.log)
        if self.unhealthy and not self.killed:
            said = [f"its health check gave it up, so swarm kills it; {self.check or 'the check said nothing'}"]
            return "; ".join(said + [f"its log: {line}"] * bool(_TELLING.search(line)))
        return self.killed or (line if _TELLING.search(line) else "") or self.check or line

    def hint(self, otherwise: str) -> str:
        return CHECK_HINT if self.unhealthy and not self.killed else otherwise

    @property
    def text(self) -> str:
        return "\n".join(filter(None, (self.log, self.check, self.killed)))


def of_container(engine: Engine, container: str) -> Evidence:
    if not container:
        return Evidence()
    found = engine.inspect_container(container) or {}
    log = engine.container_logs(container, LOG_LINES).strip()
    return Evidence(_killed(found), _unhealthy(found), log, _death(found).unhealthy)


def of_service(engine: Engine, stack: str, service: str) -> Evidence:
    """Of a service's newest container, running or not."""
    found = engine.service_containers(stack, service, running=False)
    newest = max(found, key=lambda item: int(item["Created"]), default=None)
    return of_container(engine, str(newest["Id"])) if newest else Evidence()


def death(engine: Engine, container: str) -> Death:
    return _death(engine.inspect_container(container) or {})


def _death(found: dict[str, Any]) -> Death:
    state = found.get("State") or {}
    begin, end = moment(state.get("StartedAt")), moment(state.get("FinishedAt"))
    unhealthy = (state.get("Health") or {}).get("Status") == "unhealthy"
    if state.get("Running"):  # given up, and not yet ended
        end = time.time()
    return Death(max(0.0, end - begin) if begin and end else 0.0, unhealthy)


def all_up(engine: Engine, containers: Iterable[str]) -> bool:
    """Whether none of them has ended or is unhealthy, whatever swarm says; those of other nodes are not seen."""
    found = [engine.inspect_container(container) or {} for container in containers if container]
    return all(_is_up(item["State"]) for item in found if item.get("State"))


def _is_up(state: dict[str, Any]) -> bool:
    return bool(state.get("Running")) and (state.get("Health") or {}).get("Status") not in {"unhealthy", "starting"}


def _killed(found: dict[str, Any]) -> str:
    state = found.get("State") or {}
    if state.get("OOMKilled"):
        limit = int((found.get("HostConfig") or {}).get("Memory") or 0)
        bound = f", its limit is {limit // 2**20} MiB" if limit else ""
        return f"exit {state.get('ExitCode')}: the kernel killed it, out of memory (OOM){bound}"
    return ""


def _unhealthy(found: dict[str, Any]) -> str:
    health = (found.get("State") or {}).get("Health") or {}
    failed = [item for item in health.get("Log") or [] if item.get("ExitCode")]
    if not failed or health.get("Status") == "healthy":
        return ""
    return f"health check (exit {failed[-1]['ExitCode']}): {_said(found, failed[-1])}"


def _said(found: dict[str, Any], probe: dict[str, Any]) -> str:
    """What a probe printed, and whether its time was over: the engine kills it then, and it says nothing."""
    output = str(probe.get("Output", "")).strip()[-500:]
    timeout_s = ((found.get("Config") or {}).get("Healthcheck") or {}).get("Timeout", 0) / 1e9 or _PROBE_S
    began, ended = moment(probe.get("Start")), moment(probe.get("End"))
    is_late = bool(began and ended) and ended - began >= timeout_s and "timeout" not in output.lower()
    return "; ".join(filter(None, (f"no end within its timeout of {timeout_s:g} s" * is_late, output))) or "no output"
