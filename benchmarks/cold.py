"""A whole cold run, its halves side by side, beside the same run with one half after the other; in turn, in one run.

Uses the demo's engine, recipes and Keycloak, as quick_vs_shell.py does. Writes a section of docs/benchmarks.md. It
never fails on a figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from page import row, write_section
from quick_vs_shell import BIN, HEAD, RECIPE, prepared
from warmci.base.models import Mode, RunResult
from warmci.cli.demo import DEMO_ROOT
from warmci.swarm.engine import Engine

ALONE, TOGETHER = 1, 2


def timed(slots: int) -> tuple[float, RunResult]:
    """Seconds from command to prompt of a green cold run that may take so many slots."""
    began = time.monotonic()
    argv = [str(BIN / "run_recipe_ci.py"), RECIPE, "--ref", HEAD, "--pr", "1", "--json"]
    env = {**os.environ, "WARMCI_MAX_TESTS": str(slots)}
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, text=True, check=True)
    result = RunResult.model_validate_json(done.stdout)
    if result.ran is not Mode.COLD or are_together(result) is not (slots == TOGETHER):
        raise SystemExit(f"with {slots} slots the halves of {result.run} ran otherwise than asked")
    return time.monotonic() - began, result


def are_together(result: RunResult) -> bool:
    """Whether the upgrade began before the fresh install was taken down."""
    fresh_ends = max((stage.at or 0) + stage.seconds for stage in result.stages if stage.name.startswith("fresh: "))
    return min(stage.at or 0 for stage in result.stages if stage.name.startswith("upgrade: ")) < fresh_ends


def fresh_s(result: RunResult) -> float:
    return sum(stage.seconds for stage in result.stages if stage.name.startswith("fresh: "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="pairs to measure, after one that is not counted")
    parser.add_argument("--root", type=Path, default=DEMO_ROOT)
    options = parser.parse_args()
    settings = prepared(options.root)
    load, alone, together, least = os.getloadavg()[0], [], [], []
    for number in range(options.runs + 1):
        a, _ = timed(TOGETHER)
        b, in_turn = timed(ALONE)
        print(f"pair {number}: together {a:.1f} s, in turn {b:.1f} s, ratio {a / b:.2f}", file=sys.stderr)
        if number:
            together.append(a)
            alone.append(b)
            least.append(b - fresh_s(in_turn))
    lines = [
        f"Engine {Engine(settings.docker_host).version()}, Linux {platform.release()}, {os.cpu_count()} cores, Python"
        f" {platform.python_version()}; recipe miniflux, head 0.2.0+2.2.13, {options.runs} pairs in turn after one"
        f" uncounted; load {load:.1f} before the start, {os.getloadavg()[0]:.1f} at the end. Each half watches its"
        f" tasks for {settings.watch_s:.0f} s.",
        "",
        "| seconds | min | median | max |",
        "| --- | --- | --- | --- |",
        row("cold, its halves side by side", together, 1),
        row("cold, one half after the other (`max_tests = 1`)", alone, 1),
        row("ratio", [a / b for a, b in zip(together, alone, strict=True)]),
        row("at least: in turn, without its fresh half", [a / b for a, b in zip(least, alone, strict=True)]),
    ]
    write_section(f"A whole cold run, engine {Engine(settings.docker_host).version()}", "\n".join(lines))


if __name__ == "__main__":
    main()
