"""What warmci says of 10, 100 and 300 enrolled recipes with 30 results each: seconds, processor time, peak memory.

There is no engine: of `warmci doctor` and `warmci status` it is all but what an engine and a Keycloak would answer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from page import write_section
from warmci.base import fs, process
from warmci.base.models import (
    Canonical,
    CanonicalUse,
    Ledger,
    Lineage,
    Mode,
    Promotion,
    RunResult,
    StageResult,
    TestOutcome,
    Verdict,
)
from warmci.base.state import open_state

if TYPE_CHECKING:
    from collections.abc import Sequence

PER_RECIPE = 30
VERSIONS = ("1.0.0+2.1", "1.1.0+2.2", "1.2.0+2.3")
HEAD = "4f2a" * 10
NOW = datetime.now(UTC).replace(microsecond=0)
_FRESH = ("checkout", "images", "fresh: install the head", "fresh: tests (install)", "fresh: undeploy")
_UPGRADE = ("upgrade: install the base", "upgrade: tests (base)", "upgrade: upgrade to the head")
_END = ("upgrade: tests (upgrade)", "upgrade: undeploy", "promote: advance", "clean up and ledger")
_BIN = Path(sys.executable).parent
_PLAN = "from warmci.base import settings; from warmci.sweep import beginning; "
_NO_FORGE = "beginning.default_head = lambda settings, recipe: ''; "
_BEGIN = "beginning.begin(settings.load(), None)"
COMMANDS: dict[str, tuple[str, ...]] = {
    "`warmci status --json`": (str(_BIN / "warmci"), "status", "--json"),
    "`warmci metrics`": (str(_BIN / "warmci"), "metrics"),
    "a sweep's planning": (sys.executable, "-c", _PLAN + _NO_FORGE + _BEGIN),
    "the same, with git asked for each recipe": (sys.executable, "-c", _PLAN + _BEGIN),
    "`warmci doctor`": (str(_BIN / "warmci"), "doctor"),
    "`warmci site build`": (str(_BIN / "warmci"), "site", "build"),
}


@dataclass(frozen=True)
class Spent:
    seconds: float
    cpu_s: float
    peak_mb: float


def spent(argv: Sequence[str], **env: str) -> Spent:
    """What one command took, its children included; what it says is not looked at: without an engine doctor is red."""
    began = time.monotonic()
    with subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **env}
    ) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    if child.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(argv)} ended with {child.returncode}")
    return Spent(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _use(run: str) -> CanonicalUse:
    return CanonicalUse(
        id=run, version=VERSIONS[-1], commit=HEAD, age_s=3.0, manifest_sha256="e" * 64, lineage=VERSIONS
    )


def _result() -> RunResult:
    """Of a green cold run with both halves and 16 tests, as a host has thousands of."""
    tests = tuple(TestOutcome(name=f"test_app.py::test_{n}", outcome="passed", seconds=0.2) for n in range(4))
    return RunResult(
        run="RUN",
        recipe="RECIPE",
        source="https://git.example.org/coop-cloud/RECIPE",
        ref="main",
        pr="",
        requested=Mode.COLD,
        ran=Mode.COLD,
        base_commit="9c81" * 10,
        base_version=VERSIONS[-2],
        head_commit=HEAD,
        head_version=VERSIONS[-1],
        trusted=True,
        images={"app": "sha256:" + "d" * 64, "db": "sha256:" + "c" * 64},
        image_names={"app": "app/app:2.3", "db": "postgres:15"},
        deviations=("healthcheck interval 1 s instead of 10 s, same patience", "endpoint_mode dnsrr: no IPVS"),
        dependencies={"keycloak": "26.7.3 live-warm, realm run-a1b2c3"},
        promotion=Promotion(action="advance", outcome="ok", seconds=9.1, canonical=_use("RUN")),
        stages=tuple(
            StageResult(name=name, outcome="ok", seconds=4.2, at=4.2 * at, tests=tests if "tests" in name else ())
            for at, name in enumerate((*_FRESH, *_UPGRADE, *_END))
        ),
        ledger_after=Ledger(),
        started=NOW,
        seconds=50.4,
        verdict=Verdict.PASS,
        exit_code=0,
        repeat="run_recipe_ci.py RECIPE --ref main",
    )


def _canonical(recipe: str, run: str) -> Canonical:
    past = tuple(Lineage(version=version, commit=HEAD, run=run, at=NOW) for version in VERSIONS)
    return Canonical(
        recipe=recipe,
        state="good",
        commit=HEAD,
        version=VERSIONS[-1],
        images={"app": "sha256:" + "d" * 64},
        domain=f"warm-{recipe}.example",
        port=20000,
        snapshot=run,
        manifest_sha256="e" * 64,
        lineage=past,
        secrets={"db_password": "0" * 32},
        run=run,
        created=NOW,
    )


def made(root: Path, count: int) -> dict[str, str]:
    """A host with that many recipes, on disk as WarmCI writes it; the environment that names it."""
    state = open_state(root / "state", floor_bytes=0).dir
    recipes = [f"app-{number:03}" for number in range(count)]
    text = json.dumps(_result().model_dump(mode="json"), indent=2, sort_keys=True)
    for night in range(PER_RECIPE):
        began = NOW - timedelta(days=PER_RECIPE - night)
        for number, recipe in enumerate(recipes):
            started = began + timedelta(seconds=number)
            run = f"{started:%Y%m%dT%H%M%SZ}-{number:06x}"
            home = state / ".runs" / run
            home.mkdir()
            said = text.replace("RUN", run).replace("RECIPE", recipe).replace(f"{NOW:%FT%TZ}", f"{started:%FT%TZ}")
            (home / "result.json").write_text(said, encoding="utf-8")
    for recipe in recipes:
        (state / recipe).mkdir()
        fs.write_json(
            state / recipe / "canonical.json", _canonical(recipe, "20260101T000000Z-000000").model_dump(mode="json")
        )
        (root / "recipes" / recipe).mkdir(parents=True)
        (root / "recipes" / recipe / "recipe.toml").write_text("health_path = '/healthz'\n", encoding="utf-8")
    forge = root / "forge" / "one"
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    process.run(["git", "init", "--quiet", str(forge)], timeout_s=60)
    process.run(["git", "-C", str(forge), *identity, "commit", "-qm1", "--allow-empty"], timeout_s=60)
    for recipe in recipes:
        (root / "forge" / recipe).symlink_to("one")
    return {
        "WARMCI_STATE_DIR": str(state),
        "WARMCI_RECIPES": json.dumps(recipes),
        "WARMCI_RECIPES_DIR": str(root / "recipes"),
        "WARMCI_RECIPE_SOURCE": f"{root}/forge/{{recipe}}",
        "WARMCI_DOCKER_HOST": f"unix://{root}/no-engine.sock",
    }


def measure(counts: Sequence[int], rounds: int, place: Path) -> None:
    lines = [
        f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}, load"
        f" {os.getloadavg()[0]:.1f}; {PER_RECIPE} results of each recipe, in {place}."
        f" Median of {rounds}: seconds by the clock, seconds of processor time, MB at the peak. Without an engine and a"
        " Keycloak. Before a sweep is planned, each"
        " recipe's forge is asked for its newest commit: here git, for a repository on disk.",
        "",
        "| recipes | command | seconds | processor | MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="warmci-scale-", dir=place) as directory:
            env = made(Path(directory), count)
            spent(COMMANDS["`warmci site build`"], **env)  # as after each run: the pages of all results are there
            for name, argv in COMMANDS.items():
                seen = [spent(argv, **env) for _ in range(rounds)]
                seconds = statistics.median(one.seconds for one in seen)
                cpu = statistics.median(one.cpu_s for one in seen)
                peak = max(one.peak_mb for one in seen)
                lines.append(f"| {count} | {name} | {seconds:.2f} | {cpu:.2f} | {peak:.0f} |")
                print(lines[-1], flush=True)
    write_section("What many recipes cost", "\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", type=int, nargs="+", default=[10, 100, 300])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--place", type=Path, default=Path("/var/tmp"), help="where the made-up hosts lie")  # noqa: S108
    options = parser.parse_args()
    measure(options.recipes, options.rounds, options.place)


if __name__ == "__main__":
    main()
