"""Whole quick runs, from command to prompt, on snapshots of few and of many files, of small and of large ones.

The soak's recipe on a private engine; its data is made to size in the store, as a save would have left it. Writes a
section of docs/benchmarks.md; never fails on a figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import soak_recipe
from page import write_section
from scale import LARGE, Size
from soak import RECIPES, RUN_TIMEOUT_S, Soak, prepare
from warmci.base import names
from warmci.demo import private_engine
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore

RECIPE, HEAD, VOLUME = RECIPES[0], "good", "content"


def ran(soak: Soak, *arguments: str) -> float:
    """Seconds of a green run."""
    began = time.monotonic()
    run = soak.call("run_recipe_ci.py", RECIPE, *arguments)
    _, said = run.communicate(timeout=RUN_TIMEOUT_S)
    if run.returncode:
        raise SystemExit(f"{RECIPE} {' '.join(arguments)}: exit {run.returncode}: {said}")
    return time.monotonic() - began


def resize(store: CanonicalStore, size: Size) -> None:
    """The canonical with data of this size in one of its volumes."""
    canonical = store.load(RECIPE)
    if canonical is None:
        raise SystemExit(f"no canonical of {RECIPE}")
    staging = snapshot.stage(store.dir, RECIPE, names.new_id())
    known = snapshot.load_committed(store.dir, canonical)
    volumes = {name: snapshot.make_volume(staging, name) for name in known.volumes}
    size.fill(volumes[VOLUME])
    manifest = snapshot.finish(staging)
    store.commit(canonical.model_copy(update={"snapshot": manifest.id, "manifest_sha256": manifest.sha256}))


def line(soak: Soak, store: CanonicalStore, size: Size, runs: int) -> str:
    resize(store, size)
    os.sync()
    seconds = [ran(soak, "--ref", HEAD, "--pr", "1", "--quick") for _ in range(runs)]
    print(f"{size}: {' '.join(f'{item:.2f}' for item in seconds)}", file=sys.stderr)
    return f"| {size} | {statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f}) |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--gigabytes", type=float, nargs="*", default=[1, 10, 50])
    parser.add_argument("--runs", type=int, default=5, help="of each size")
    options = parser.parse_args()
    sizes = [Size(count) for count in options.files] + [Size(LARGE, gigabytes) for gigabytes in options.gigabytes]
    with tempfile.TemporaryDirectory(prefix="warmci-scale-", dir="/var/tmp") as name:
        root = Path(name)
        try:
            soak = Soak(root, prepare(root), {RECIPE: random.Random(0)})
            ran(soak, "--ref", soak_recipe.RELEASE, "--reseed")
            store, load = CanonicalStore(root / "state"), os.getloadavg()[0]
            ran(soak, "--ref", HEAD, "--pr", "1", "--quick")
            rows = [line(soak, store, size, options.runs) for size in sizes]
            version = soak.engine.version()
        finally:
            private_engine.destroy(root / "engine")
    text = (
        f"Engine {version}, Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()};"
        f" a recipe of two services on busybox, {options.runs} runs of each size, median (min-max); load {load:.1f}"
        f" before the first, {os.getloadavg()[0]:.1f} at the end. Files of one byte, or {LARGE} sparse ones.\n\n"
        "| snapshot | a whole quick run, s |\n| --- | --- |\n"
    )
    write_section("Whole quick runs on data of this size", text + "\n".join(rows))


if __name__ == "__main__":
    main()
