"""Whole quick runs while a Keycloak holds the realms of 1, 10, 100 and 200 other runs: seconds and memory.

At the demo's engine and Keycloak. Writes a section of docs/benchmarks.md; never fails on a figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import where
from page import write_section
from quick_vs_shell import HEAD, RECIPE, prepared
from realms_life import OTHERS, Bench, line
from warmci.base import netns
from warmci.cli.demo import DEMO_ROOT
from warmci.swarm.engine import Engine

AT_ONCE = 2
TABLE = """| others' realms | a quick run, s | its peak, MB | Keycloak, MB | its live heap, MB |
| --- | --- | --- | --- | --- |"""


def measured(bench: Bench, runs: int, notes: Path) -> list[str]:
    arguments = [RECIPE, "--ref", HEAD, "--pr", "1", "--quick"]
    profiles = [where.profile(arguments, bench.settings.docker_host, notes) for _ in range(runs)]
    seconds = [item.seconds for item in profiles]
    peak_mb = max(float(item.notes["peak_mb"]) for item in profiles)
    spread = f"{statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"
    return [spread, f"{peak_mb:.0f}", *bench.held()[:2]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each number of realms, after one that is not counted")
    parser.add_argument("--root", type=Path, default=DEMO_ROOT)
    options = parser.parse_args()
    settings = prepared(options.root)
    if settings.netns is not None:
        netns.enter(settings.netns)
    os.environ["WARMCI_REALM_MAX"] = str(max(OTHERS) + settings.realm_max)
    bench = Bench(settings.model_copy(update={"realm_max": max(OTHERS) + settings.realm_max}))
    bench.maker = "others"  # not ours, or the next run would reap them
    before = bench.listed()[0]
    notes, load = options.root / "notes", os.getloadavg()[0]
    rows: list[str] = []
    others: list[str] = []
    measured(bench, 1, notes)
    with ProcessPoolExecutor(AT_ONCE) as pool:
        try:
            for number in OTHERS:
                others.extend(spec.name for spec in pool.map(bench.create, range(number - len(others))))
                rows.append(line(str(len(others)), *measured(bench, options.runs, notes)))
                if (there := bench.listed()[0]) != before + len(others):
                    raise SystemExit(f"{there} realms at the end, {before} and {len(others)} at the beginning")
        finally:
            list(pool.map(bench.delete, others))
            notes.unlink(missing_ok=True)
    with closing(Engine(settings.docker_host)) as engine:
        version = engine.version()
    text = (
        f"Keycloak {bench.record.version} of the demo, engine {version}, Linux {platform.release()},"
        f" {os.cpu_count()} cores, Python {platform.python_version()}; {options.runs} runs of {RECIPE} each, median"
        f" (min-max); load {load:.1f} before the start.\n\n{TABLE}\n"
    )
    write_section("Quick runs beside the realms of others", text + "\n".join(rows))


if __name__ == "__main__":
    main()
