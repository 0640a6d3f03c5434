"""Hundreds of runs on one engine, half of them red in every way at hand, some killed with -9: is anything lost?

Four recipes at a time, each run quick or cold, on a private engine: the distribution's, or the dockerd that is first in
PATH. Between blocks everything that could leak is counted; the last count must be the first. Writes a section of
docs/benchmarks.md, and ends with 1 when something was lost or a verdict was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import soak_recipe
from page import write_section
from soak_counts import Counts, settled
from warmci.demo import images, private_engine
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

RECIPES = ("soak-a", "soak-b", "soak-c", "soak-d")
"""As many at a time: 500 runs within an hour of two cores."""
BIN = Path(sys.executable).parent
IMAGE = "warmci-demo/busybox:1.35"
KEEP_RUNS = 5
RUN_TIMEOUT_S = 300
KILLED_SHARE, COLD_SHARE = 0.1, 0.15
KILLED_WITHIN_S = 8.0


@dataclass
class Soak:
    """The engine, the state and what the runs said."""

    root: Path
    engine: Engine
    chances: dict[str, random.Random]
    """Of each recipe, so that a seed tells what was run."""
    ran: dict[str, int] = field(default_factory=dict)
    killed: int = 0
    wrong: list[str] = field(default_factory=list)

    def call(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env["WARMCI_SETTINGS"] = str(self.root / "settings.toml")
        argv = [str(BIN / program), *arguments]
        return subprocess.Popen(
            argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True
        )

    def seed(self) -> None:
        for recipe in RECIPES:
            run = self.call("run_recipe_ci.py", recipe, "--ref", soak_recipe.RELEASE, "--reseed")
            _, said = run.communicate(timeout=RUN_TIMEOUT_S)
            if run.returncode != 0:
                raise SystemExit(f"no canonical of {recipe}: {said}")

    def cycle(self, recipe: str, number: int) -> None:
        """One run of a head by chance: quick or cold, to its end or killed on the way."""
        chance = self.chances[recipe]
        red = chance.random() < 0.5
        head = chance.choice(sorted(soak_recipe.RED if red else soak_recipe.GOOD))
        mode = [] if chance.random() < COLD_SHARE else ["--quick"]
        moment_s = chance.uniform(0.3, KILLED_WITHIN_S) if chance.random() < KILLED_SHARE else None
        run = self.call("run_recipe_ci.py", recipe, "--ref", head, "--pr", str(number), *mode)
        try:
            _, said = run.communicate(timeout=moment_s or RUN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
            self.killed += 1
            if moment_s is None:
                self.wrong.append(f"{number} {head}: no end after {RUN_TIMEOUT_S} s")
            return
        self.ran[head] = self.ran.get(head, 0) + 1
        # No registry within reach is nobody's fault but the host's.
        right = {0} if not red else {1, 3} if head == "no-image" else {1}
        if run.returncode not in right:
            self.wrong.append(f"{number} {head} {' '.join(mode)}: exit {run.returncode}: {said.strip()[-600:]}")
            print(f"wrong: {self.wrong[-1]}\nkept: {self.keep(number)}", file=sys.stderr, flush=True)

    def keep(self, number: int) -> Path:
        """The newest runs and the engine's log: what tells why a verdict was wrong, and outlives the soak."""
        kept = Path(tempfile.mkdtemp(prefix=f"warmci-soak-wrong-{number}-"))
        for run in sorted((self.root / "state" / ".runs").glob("2*"))[-2 * len(RECIPES) :]:
            with suppress(OSError):  # another lane's is under way
                shutil.copytree(run, kept / run.name, symlinks=True, ignore=shutil.ignore_patterns("work"))
        for log in (self.root / "engine").glob("*.log"):
            with suppress(OSError):
                shutil.copy(log, kept)
        return kept

    def lane(self, recipe: str, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.cycle(recipe, number)

    def block(self, numbers: Sequence[int]) -> None:
        with ThreadPoolExecutor(len(RECIPES)) as pool:
            lanes = [numbers[lane :: len(RECIPES)] for lane in range(len(RECIPES))]
            list(pool.map(self.lane, RECIPES, lanes))
        for command in ("recover", "prune"):  # as each night does
            tidied = self.call("warmci", command)
            _, said = tidied.communicate(timeout=RUN_TIMEOUT_S)
            if tidied.returncode != 0:
                self.wrong.append(f"{command}: exit {tidied.returncode}: {said}")


def prepare(root: Path) -> Engine:
    started = private_engine.start(root / "engine", print)
    engine = Engine(started.docker_host)
    images.provide_images(engine, [IMAGE], images.default_cache_dir(), print)
    engine.ensure_overlay(soak_recipe.SHARED)
    for recipe in RECIPES:
        soak_recipe.make(root, recipe)
    values = {
        "state_dir": str(root / "state"),
        "recipes_dir": str(root / "operator"),
        "recipe_source": f"{root}/recipes/{{recipe}}",
        "docker_host": started.docker_host,
        "netns": str(started.netns),
        "max_tests": len(RECIPES),
        "keep_runs": KEEP_RUNS,
        "deploy_timeout_s": 60,
        "screenshots": "never",
    }
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    (root / "settings.toml").write_text(text, encoding="utf-8")
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=60, help="begin no further block after that")
    parser.add_argument("--block", type=int, default=50, help="cycles between two counts")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="warmci-soak-") as name:
        root = Path(name)
        try:
            soak = Soak(root, prepare(root), {name: random.Random(f"{options.seed} {name}") for name in RECIPES})
            counts = observe(soak, options)
            report(soak, counts, options.seed)
        finally:
            private_engine.destroy(root / "engine")
    lost = counts[-1][1].beyond(counts[0][1], cycles=counts[-1][0] - counts[0][0])
    for line in (*lost, *soak.wrong):
        print(f"error: {line}", file=sys.stderr)
    raise SystemExit(1 if lost or soak.wrong else 0)


def observe(soak: Soak, options: argparse.Namespace) -> list[tuple[int, Counts]]:
    """(runs so far, what there was then); first after a block, when old results are thrown away already."""
    began = time.monotonic()
    soak.seed()
    counts: list[tuple[int, Counts]] = []
    done = 0
    while done < options.cycles and (len(counts) < 2 or time.monotonic() - began < options.minutes * 60):
        size = min(options.block, options.cycles - done)
        soak.block(range(done, done + size))
        done += size
        counts.append((done, settled(soak.engine, soak.root, soak_recipe.SHARED)))
        print(f"{time.monotonic() - began:6.0f} s, {done} cycles: {counts[-1][1]}; {len(soak.wrong)} wrong", flush=True)
    return counts


def report(soak: Soak, counts: Sequence[tuple[int, Counts]], seed: int) -> None:
    version = soak.engine.version()
    heads = ", ".join(f"{name} {number}" for name, number in sorted(soak.ran.items()))
    lines = [
        f"{counts[-1][0]} runs, {len(RECIPES)} at a time; seed {seed}, Linux {platform.release()}, {os.cpu_count()}"
        f" cores. Verdicts: {heads}; killed with -9: {soak.killed}. Wrong verdicts: {len(soak.wrong)}.",
        "",
        f"| runs | {' | '.join(Counts.names())} |",
        f"| --- |{' --- |' * len(Counts.names())}",
        *(f"| {done} | {' | '.join(found.cells())} |" for done, found in counts),
    ]
    write_section(f"Nothing leaks: engine {version}", "\n".join(lines))


if __name__ == "__main__":
    main()
