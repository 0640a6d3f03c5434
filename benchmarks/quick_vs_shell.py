"""A whole quick run, from command to prompt, beside the same steps by a plain shell script; in turn, in one run.

Prints one row each with min, median and max, the ratio pair by pair, and writes docs/benchmarks.md. Uses the demo's
engine, recipes and canonical, and makes them if they are not there (`warmci demo` does). It never fails on a figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import where
from page import row, write_section
from warmci.base import docker_cli, netns
from warmci.base.settings import Settings, default_docker_host
from warmci.cli.demo import DEMO_ROOT
from warmci.demo import private_engine, story
from warmci.recipe import compose_text, render
from warmci.recipe.config import load_config
from warmci.recipe.repository import clone
from warmci.report.console import Console
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
RECIPE, HEAD = "miniflux", "good"


def prepared(root: Path) -> Settings:
    """The demo's settings, with a canonical to upgrade; the engine runs and is entered."""
    console = Console()
    settings_file = root / "settings.toml"
    if not settings_file.exists() or CanonicalStore(root / "state").load(RECIPE) is None:
        if not story.play(root, default_docker_host(), console, keep=True):
            raise SystemExit("the demo did not go as told")
    else:
        story.prepare(root, default_docker_host(), console)
    os.environ["WARMCI_SETTINGS"] = str(settings_file)
    subprocess.run([BIN / "warmci", "keycloak", "reconcile"], check=True)
    return Settings()


def rendered_files(settings: Settings, work: Path) -> dict[str, str]:
    """The recipe exactly as written, at both commits, for the plain script: no overlay of WarmCI's quick profile."""
    repository = clone(settings, RECIPE, work)
    canonical = CanonicalStore(settings.state_dir).load(RECIPE)
    if canonical is None:
        raise SystemExit("no canonical")
    domain = f"plain.{settings.base_domain}"
    placement = render.Placement(RECIPE, domain, settings.port_first, "bench", "bench", not render.has_ipvs())
    config = load_config(settings.recipes_dir, RECIPE)
    files = {}
    for name, ref in (("OLD", canonical.version), ("NEW", HEAD)):
        commit = repository.resolve(ref)
        env = render.read_env(repository.checkout(canonical.commit), placement, {})
        cli = docker_cli.find(settings.docker_cli)
        document = render.render(repository.checkout(commit), commit, env, placement, config.allow, cli).document
        files[name] = str(work / f"{name}.yml")
        Path(files[name]).write_text(compose_text.dump(document), encoding="utf-8")
    for key, value in {**canonical.secrets, "oidc_secret_v1": "unused-by-this-script"}.items():
        labels = {"org.warmci.instance": "bench"}
        Engine(settings.docker_host).create_secret(f"{placement.stack}_{key}", value, labels)
    data = snapshot.snapshot_dir(settings.state_dir, RECIPE, canonical.snapshot) / "volumes" / "postgres"
    stack = placement.stack
    scratch = str(work / "scratch")
    return {**files, "STACK": stack, "VOLUME": f"{stack}_postgres", "DATA": str(data), "SCRATCH": scratch}


def timed(argv: list[str], env: dict[str, str]) -> float:
    began = time.monotonic()
    subprocess.run(argv, check=True, env={**os.environ, **env}, capture_output=True)
    return time.monotonic() - began


@dataclass
class Pairs:
    """Quick runs and scripts in turn, after one of each that is not counted."""

    profiles: list[where.Profile] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)

    def measure(self, runs: int, settings: Settings, shell_env: dict[str, str], notes: Path) -> Pairs:
        for number in range(runs + 1):
            profile = where.profile([RECIPE, "--ref", HEAD, "--pr", "1", "--quick"], settings.docker_host, notes)
            a, b = profile.seconds, timed([str(HERE / "plain.sh")], shell_env)
            print(f"pair {number}: warmci {a:.2f} s, shell {b:.2f} s, shell/warmci {b / a:.2f}", file=sys.stderr)
            if number:
                self.profiles.append(profile)
                self.plain.append(b)
        return self

    def rows(self) -> list[str]:
        quick = [profile.seconds for profile in self.profiles]
        return [
            "| seconds | min | median | max |",
            "| --- | --- | --- | --- |",
            row("`run_recipe_ci.py miniflux --quick`", quick),
            row("`benchmarks/plain.sh`", self.plain),
            row("ratio shell / WarmCI", [b / a for a, b in zip(quick, self.plain, strict=True)]),
        ]


@contextmanager
def busy_core() -> Iterator[None]:
    """One process that never waits."""
    burning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        burning.kill()
        burning.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="pairs to measure, after one that is not counted")
    parser.add_argument("--busy-runs", type=int, default=3, help="the same with one core busy")
    parser.add_argument("--root", type=Path, default=DEMO_ROOT)
    options = parser.parse_args()
    settings = prepared(options.root)
    if settings.netns is not None:
        netns.enter(settings.netns)
    engine = Engine(settings.docker_host)
    work = options.root / "bench"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    load = os.getloadavg()[0]
    try:
        shell_env = {**rendered_files(settings, work), "DOCKER_HOST": settings.docker_host}
        asked = (settings, shell_env, work / "notes")
        quiet = Pairs().measure(options.runs, *asked)
        load_after = os.getloadavg()[0]
        with busy_core():
            busy = Pairs().measure(options.busy_runs, *asked) if options.busy_runs else None
    finally:
        engine.remove_secrets([item["ID"] for item in engine.secrets(["org.warmci.instance=bench"])])
        shutil.rmtree(work, ignore_errors=True)
        if private_engine.running(options.root / "engine"):
            print("the demo's private engine still runs: warmci demo --clean removes it", file=sys.stderr)
    lines = [
        f"Engine {engine.version()}, Linux {platform.release()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; recipe miniflux 0.1.1 → 0.2.0+2.2.13, {options.runs} pairs in turn after one"
        f" uncounted; load {load:.1f} before the start, {load_after:.1f} at the end. On another machine: `make bench`.",
        "",
        "The script copies the data, deploys, waits for healthy, upgrades, waits for `completed`, removes and waits."
        " WarmCI does that and also makes a realm, runs the recipe's tests with a login through Keycloak, and proves"
        " that nothing is left.",
        "",
        *quiet.rows(),
        "",
        *where.table(quiet.profiles),
    ]
    if busy:
        lines += ["", f"With one core busy all the time, {options.busy_runs} pairs:", "", *busy.rows()]
    title = "A whole quick run beside a plain shell script"
    write_section(f"{title}, engine {engine.version()}", "\n".join(lines), instead_of=title)


if __name__ == "__main__":
    main()
