"""After a thousand runs, sweeps, alerts and pulled images, what is kept is what the settings say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from support.results import result
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.operate import site
from warmci.operate.prune import execute
from warmci.operate.prune_plan import make_plan
from warmci.report import alerts
from warmci.report.console import Console
from warmci.report.past import INDEX, read_past
from warmci.report.sweep_record import Sweep, load_sweeps, save_sweep
from warmci.store.canonical import CanonicalStore
from warmci.swarm import pulled

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.swarm.engine import Engine

RUNS = 1000
KEPT = 3
RECIPES = ("alpha", "beta")
MODES = ("cold", "quick")
RESULT = result().model_dump(mode="json")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def record_id(number: int) -> str:
    return f"{BEGAN + timedelta(minutes=number):%Y%m%dT%H%M%SZ}-{number:06x}"


def ran(settings: Settings, number: int) -> None:
    """As a run leaves it; each tenth was killed before it could say anything."""
    home = settings.runs_dir / record_id(number)
    home.mkdir()
    (home / "journal.jsonl").write_text('{"t": 1.0, "kind": "stack", "name": "demo"}\n')
    if number % 10:
        facts = {"recipe": RECIPES[number % 2], "ran": MODES[number // 2 % 2], "pr": str(number) if number % 3 else ""}
        (home / "result.json").write_text(json.dumps({**RESULT, **facts, "run": home.name}))


class Images:
    """An engine to which each run brings an image; all but the newest are then removed by somebody else."""

    def __init__(self) -> None:
        self.newest = 0

    def images(self) -> list[dict[str, Any]]:
        return [{"Id": f"sha256:{self.newest}", "RepoTags": [], "Size": 1}]

    def image_digest(self, reference: str) -> str:
        return f"sha256:{reference.rpartition(':')[2]}"


def test_a_thousand_runs_leave_what_is_to_be_kept(tmp_path: Path) -> None:
    open_state(tmp_path / "state")
    settings = Settings(state_dir=tmp_path / "state", keep_runs=KEPT)
    store = CanonicalStore(settings.state_dir)
    for number in range(RUNS):
        ran(settings, number)
        if number % 25 == 0:
            subject = f"recipe.{RECIPES[number // 25 % 2]}"
            alerts.alert(settings, Console(quiet=True), subject, f"night {number}", "look")
            at = BEGAN + timedelta(days=number)
            save_sweep(
                settings.state_dir,
                Sweep(id=record_id(number), started=at, finished=at, max_tests=1, items=(), exit_code=0),
            )
    site.build(settings)
    plan = make_plan(settings, store, None, images=False)
    assert execute(plan, settings, store, None).stayed == {}
    kinds = len(RECIPES) * len(MODES) * 2 + 1  # pull requests beside the rest, and those that could not say
    left = [path.name for path in settings.runs_dir.iterdir() if path.name != INDEX]
    assert len(left) == kinds * KEPT
    pages = [path.name for path in (site.build(settings) / "runs").iterdir()]
    assert len(pages) == (kinds - 1) * KEPT
    assert max(left) == record_id(RUNS - 1), "the newest stay"
    assert len(read_past(settings.runs_dir)) == (kinds - 1) * KEPT
    assert len(list(settings.runs_dir.rglob("journal.jsonl"))) == len(left)
    assert len(load_sweeps(settings.state_dir)) == KEPT
    assert [alert.message for alert in alerts.standing(settings)] == ["night 950", "night 975"]
    assert make_plan(settings, store, None, images=False).items == ()


def test_the_record_of_images_knows_only_what_is_there(tmp_path: Path) -> None:
    state = open_state(tmp_path / "state").dir
    engine = Images()
    for number in range(20):
        engine.newest = number
        pulled.record(state, cast("Engine", engine), [f"app:{number}"], record_id(number))
    assert [item.reference for item in pulled.load(state)] == ["app:19"]
