"""How long an engine bears with a service that is not healthy, and the same patience in shorter steps.

An engine's rules, from moby's daemon/health.go: the first check comes one interval after the start; failures within
start_period do not count; `retries` of them in a row do. Engines from 25 on check every start_interval within
start_period, five seconds where it is unset, whatever `interval` says; older ones know `interval` alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|ns|h|m|s)")
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_INTERVAL_S = 30.0
_START_INTERVAL_S = 5.0
_RETRIES = 3
_MONITOR_S = 5.0
STEP_S = 0.2
"""Per service that is checked: five of them, each five times a second, were seen to slow a loaded host."""
_IDLE, _BUSY = 1.5, 3.0
"""Load for each core. A check costs an engine some 0.05 s of a core."""


def seconds(text: Any, default: float) -> float:
    """A Go duration ("1m30s") in seconds; default for what is none."""
    found = _DURATION.findall(str(text or ""))
    return sum(float(number) * _UNIT_S[unit] for number, unit in found) if found else default


def step_s(load: float, cores: int) -> float:
    """Seconds between two checks, for each service that is checked: half of the usual on an idle host, or twice."""
    per_core = load / max(1, cores)
    return STEP_S / 2 if per_core <= _IDLE else STEP_S if per_core <= _BUSY else STEP_S * 2


def is_checked(service: Mapping[str, Any]) -> bool:
    """Whether the recipe itself has the service checked."""
    check = service.get("healthcheck")
    if not isinstance(check, dict) or check.get("disable"):
        return False
    return bool(check.get("test")) and check["test"] not in ("NONE", ["NONE"])


def check_interval_s(service: Mapping[str, Any]) -> float:
    """How long a service may be broken unnoticed: its check interval, or swarm's own monitor where it has none."""
    if not is_checked(service):
        return _MONITOR_S
    return min(Timing.of(service["healthcheck"]).interval_s, _INTERVAL_S)


@dataclass(frozen=True)
class Timing:
    """When a container is checked; zero and unset mean an engine's own values."""

    interval_s: float
    retries: int
    start_period_s: float
    start_interval_s: float

    @classmethod
    def of(cls, check: Mapping[str, Any]) -> Timing:
        return cls(
            seconds(check.get("interval"), 0) or _INTERVAL_S,
            int(check.get("retries") or _RETRIES),
            seconds(check.get("start_period"), 0),
            seconds(check.get("start_interval"), 0) or _START_INTERVAL_S,
        )

    @property
    def patience_s(self) -> float:
        """The longest that any engine bears with a container whose checks fail at once."""
        if not self.start_period_s:
            return self.retries * self.interval_s
        # The first failure that counts may come a whole interval, of either kind, after the end of start_period.
        longest = max(self.interval_s, self.start_interval_s)
        return self.start_period_s + longest + (self.retries - 1) * self.interval_s

    @property
    def shortest_s(self) -> float:
        """The time from one check to the next when a container has just started, on the engine where it is shorter."""
        return min(self.interval_s, self.start_interval_s) if self.start_period_s else self.interval_s

    def __str__(self) -> str:
        after = f" after {self.start_period_s:g}s" if self.start_period_s else ""
        return f"every {self.interval_s:g}s, {self.retries} retries{after}"


def quicken(services: Mapping[str, dict[str, Any]], each_s: float = STEP_S) -> list[str]:
    """Check more often, never less patiently; returns what was changed. each_s: seconds for each that is checked.

    No start_period is left, since engines from 25 on would wait start_interval in it: its patience becomes retries.
    """
    checked = {name: service["healthcheck"] for name, service in services.items() if is_checked(service)}
    between_s = each_s * len(checked)
    said = []
    for name, check in checked.items():
        old = Timing.of(check)
        step_ms = int(min(between_s, old.shortest_s) * 1000)
        if not step_ms or (old.interval_s <= between_s and not old.start_period_s):
            continue
        retries = math.ceil(round(old.patience_s * 1000 / step_ms, 6))
        check |= {"interval": f"{step_ms}ms", "retries": retries}
        check.pop("start_period", None)
        check.pop("start_interval", None)
        said.append(f"{name}: healthcheck {old} → {Timing.of(check)}")
    return said
