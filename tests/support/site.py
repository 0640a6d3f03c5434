"""A state directory as a host of a few weeks has it, for whoever looks at the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from support.results import BASE, fallback_pass, quick_fail, result
from support.trees import canonical_of, save
from warmci.base.models import CanonicalUse, Promotion, RunResult, StageResult, TestOutcome, Verdict
from warmci.base.run_locks import run_lock
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.report import alerts
from warmci.report.console import Console
from warmci.report.sweep_record import Sweep, SweepItem, save_sweep
from warmci.run import record
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-5eCret"
"""In canonical.json of support.trees; in no page."""
LINKS = {
    "pull request": "https://git.example.org/coop-cloud/miniflux/pulls/8",
    "commit": "https://git.example.org/coop-cloud/miniflux/commit/" + "4f2a" * 10,
    "CI job": "https://ci.example.org/7",
}


def both_halves() -> RunResult:
    """A green cold run, with its promotion."""
    passed = (TestOutcome(name="serves /", outcome="passed", seconds=0.1),)
    names: tuple[str, ...] = (
        "checkout",
        "images",
        "fresh: install the head",
        "fresh: tests (install)",
        "fresh: undeploy",
    )
    names += ("upgrade: install the base", "upgrade: tests (base)", "upgrade: upgrade to the head")
    names += ("upgrade: tests (upgrade)", "upgrade: undeploy", "promote: advance", "clean up and ledger")
    lengths = (0.4, 1.2, 6.3, 4.1, 0.7, 5.8, 2.2, 7.4, 4.6, 0.8, 9.1, 0.3)
    at = [sum(lengths[:number]) for number in range(len(lengths))]
    stages = tuple(
        StageResult(name=name, outcome="ok", seconds=seconds, at=begin, tests=passed if "install" in name else ())
        for name, seconds, begin in zip(names, lengths, at, strict=True)
    )
    used = CanonicalUse(
        id="20261124T031500Z-0a0b0c",
        version="0.1.2+2.2.13",
        commit="4f2a" * 10,
        age_s=3.0,
        manifest_sha256="e" * 64,
        lineage=("0.1.0+2.2.8", "0.1.1+2.2.8", "0.1.2+2.2.13"),
    )
    return result(
        pr="",
        ref="main",
        trusted=True,
        stages=stages,
        seconds=sum(lengths),
        base_commit=BASE,
        base_version="0.1.1+2.2.8",
        images={"app": "sha256:" + "d" * 64, "db": "sha256:" + "c" * 64},
        image_names={"app": "miniflux/miniflux:2.2.13", "db": "postgres:15"},
        promotion=Promotion(action="advance", outcome="ok", seconds=9.1, canonical=used),
        repeat="run_recipe_ci.py miniflux --ref main",
        links=LINKS,
        deviations=("endpoint_mode dnsrr: no IPVS",),
    )


def red() -> RunResult:
    stages = quick_fail().stages
    at = [sum(stage.seconds for stage in stages[:number]) for number in range(len(stages))]
    placed = tuple(stage.model_copy(update={"at": begin}) for stage, begin in zip(stages, at, strict=True))
    changes = {
        "stages": placed,
        "links": LINKS,
        "repeat": "run_recipe_ci.py miniflux --pr 8 --quick",
        "image_names": {"app": "miniflux/miniflux:2.2.13"},
        "kept": ("quick-pytest-quick.log", "seen/quick/app.log", "seen/quick/tasks.txt"),
    }
    return quick_fail().model_copy(update=changes)


def settled(root: Path) -> Settings:
    """Three recipes: one with a past and a red pull request, one never tested, one green."""
    values = {"state_dir": root / "state", "recipes": ("miniflux", "hedgedoc", "demo")}
    settings = Settings.model_validate(values)
    state = open_state(settings.state_dir, floor_bytes=0).dir
    CanonicalStore(state).commit(canonical_of(save(state)))
    now = datetime.now(UTC).replace(microsecond=0)
    told = [(both_halves(), 24.0 - number, 40 + 7 * (number % 3)) for number in range(8)]
    runs = [one.model_copy(update={"seconds": float(seconds)}) for one, _, seconds in told]
    runs += [red(), fallback_pass().model_copy(update={"recipe": "demo", "pr": "", "trusted": True})]
    run = ""
    for number, one in enumerate(runs):
        started = now - timedelta(hours=3 * (len(runs) - number))
        run = f"{started:%Y%m%dT%H%M%SZ}-{number:06x}"
        home = state / ".runs" / run
        run_lock(home).release()
        for name in one.kept:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(f"level=INFO msg=started\nof {name}\n" * 20, encoding="utf-8")
        record.write(home, one.model_copy(update={"run": run, "started": started}), Console(quiet=True))
    items = (
        SweepItem(recipe="miniflux", reason="changed", state="done", run=run, verdict=Verdict.PASS, seconds=43.0),
        SweepItem(recipe="hedgedoc", reason="never run", state="postponed", summary="the time budget was over"),
    )
    sweep = Sweep(id=run, started=now, finished=now, max_tests=2, items=items, exit_code=6, verdict="1 of 2 green")
    save_sweep(state, sweep)
    alerts.alert(settings, Console(quiet=True), "sweep", "the sweep is not green: 1 of 2 green", "warmci sweep")
    return settings
