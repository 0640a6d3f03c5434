"""Where a quick run's seconds go: its stages, the app's own boot within them, processor time, programs started."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker

from warmci.base.labels import NAMESPACE_LABEL
from warmci.base.models import Mode, RunResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent
SWARM_FLOOR_S = 0.8
"""From a service to its container's start, on an idle engine of one node."""
_TITLE = "quick: "


@dataclass
class Heard:
    """What the engine told of one run's containers: (second, action, container), by its own clock."""

    events: list[tuple[float, str, str]] = field(default_factory=list)

    def _since(self, begins: set[str], ends: set[str]) -> list[tuple[float, float]]:
        begun: dict[str, float] = {}
        found = []
        for when, action, container in self.events:
            if action in begins:
                begun.setdefault(container, when)
            elif action in ends and container in begun:
                found.append((begun.pop(container), when))
        return found

    def _boots(self) -> list[tuple[float, float]]:
        return self._since({"start"}, {"health_status: healthy"})

    def _stops(self) -> list[tuple[float, float]]:
        return self._since({"kill"}, {"die"})

    def boot_s(self) -> float:
        """Seconds in which a container had started and was not yet healthy; side by side counts once."""
        return _covered(self._boots())

    def stop_s(self) -> float:
        """Seconds in which one was told to stop and had not ended."""
        return _covered(self._stops())

    def own_s(self) -> float:
        """Both together; side by side counts once."""
        return _covered([*self._boots(), *self._stops()])


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    total, until = 0.0, 0.0
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


@dataclass(frozen=True)
class Profile:
    seconds: float
    result: RunResult
    heard: Heard
    notes: dict[str, Any]

    @property
    def floor_s(self) -> float:
        return self.heard.own_s() + 2 * SWARM_FLOOR_S


@contextmanager
def _listening(docker_host: str) -> Iterator[Heard]:
    heard = Heard()
    client = docker.DockerClient(base_url=docker_host, version="auto")
    stream = client.api.events(decode=True, filters={"type": "container", "label": NAMESPACE_LABEL})

    def pump() -> None:
        try:
            for event in stream:
                heard.events.append((event["timeNano"] / 1e9, event["Action"], event["Actor"]["ID"]))
        except Exception as error:  # noqa: BLE001  (the stream is closed under its reader)
            print(f"events ended: {type(error).__name__}", file=sys.stderr)

    threading.Thread(target=pump, daemon=True).start()
    try:
        yield heard
    finally:
        stream.close()
        client.close()


def profile(arguments: Sequence[str], docker_host: str, notes: Path) -> Profile:
    """One run, listened to."""
    with _listening(docker_host) as heard:
        began = time.monotonic()
        argv = [sys.executable, str(HERE / "traced.py"), str(notes), *arguments, "--json"]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, env=dict(os.environ))
        seconds = time.monotonic() - began
    result = RunResult.model_validate_json(done.stdout)
    if result.ran is not Mode.QUICK:
        raise SystemExit(f"the run fell back to {result.ran}, so nothing was measured: use a fresh --root")
    return Profile(seconds, result, heard, json.loads(notes.read_text("utf-8")))


def table(profiles: Sequence[Profile]) -> list[str]:
    """The median of each part, and what it is of the whole."""
    whole = statistics.median(item.seconds for item in profiles)
    lines = ["| part of a quick run | seconds | of it |", "| --- | --- | --- |"]

    def add(name: str, values: Sequence[float]) -> None:
        middle = statistics.median(values)
        lines.append(f"| {name} | {middle:.2f} | {100 * middle / whole:.0f} % |")

    add("all of it", [item.seconds for item in profiles])
    add("before the first stage, and between stages", [_outside(item) for item in profiles])
    for name in dict.fromkeys(stage.name for item in profiles for stage in item.result.stages):
        add(name.removeprefix(_TITLE), [_stage(item, name) for item in profiles])
    lines += ["", "| what is in that | median |", "| --- | --- |"]
    facts = {
        "s in which a container of the app booted (started, not yet healthy)": [p.heard.boot_s() for p in profiles],
        "s in which one was told to stop and had not ended": [p.heard.stop_s() for p in profiles],
        "s of imports": [p.notes["imports_s"] for p in profiles],
        "s of processor time of its own": [p.notes["own_cpu_s"] for p in profiles],
        "s of processor time of programs that it started": [p.notes["others_cpu_s"] for p in profiles],
        "MB at its peak": [p.notes["peak_mb"] for p in profiles],
        f"floor: boot, stop and twice {SWARM_FLOOR_S} s of swarm": [p.floor_s for p in profiles],
        "whole run / floor": [p.seconds / p.floor_s for p in profiles],
    }
    lines += [f"| {name} | {statistics.median(values):.2f} |" for name, values in facts.items()]
    started = profiles[-1].notes["started"]
    said = ", ".join(f"{name} {count}" for name, count in sorted(started.items(), key=lambda item: -item[1]))
    return [*lines, "", f"Programs started: {sum(started.values())} ({said})."]


def _stage(item: Profile, name: str) -> float:
    return sum(stage.seconds for stage in item.result.stages if stage.name == name)


def _outside(item: Profile) -> float:
    return item.seconds - sum(stage.seconds for stage in item.result.stages)
