"""How often commands read results and write pages, where there are many: counted, as seconds are the machine's."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.results import result
from warmci.base import fs
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.operate import metrics, site, status
from warmci.report import past
from warmci.sweep import beginning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warmci.report.past import Past

RECIPES = tuple(f"app-{number}" for number in range(8))
PER_RECIPE = 5


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    mask = os.umask(0o077)
    host = f"unix://{tmp_path}/none.sock"
    made = Settings(state_dir=open_state(tmp_path / "state").dir, recipes=RECIPES, docker_host=host)
    began = datetime.now(UTC) - timedelta(days=1)
    for number in range(len(RECIPES) * PER_RECIPE):
        started = began + timedelta(minutes=number)
        run = f"{started:%Y%m%dT%H%M%SZ}-000000"
        one = result(run=run, recipe=RECIPES[number % len(RECIPES)], started=started, pr="", trusted=True)
        (made.runs_dir / run).mkdir()
        fs.write_json(made.runs_dir / run / "result.json", one.model_dump(mode="json"))
    yield made
    os.umask(mask)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    runs: list[str] = []
    whole = past._read

    def counted(runs_dir: Path, run: str) -> Past | None:
        runs.append(run)
        return whole(runs_dir, run)

    monkeypatch.setattr(past, "_read", counted)
    return runs


def test_status_reads_what_it_shows(settings: Settings, read: list[str]) -> None:
    seen = status.look(settings)
    assert [run.run for run in seen.runs] == read
    assert len(read) == 5


def test_after_the_overview_nothing_is_read_or_written_twice(
    settings: Settings, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.build(settings)
    assert len(read) == len(RECIPES) * PER_RECIPE
    del read[:]
    written: list[str] = []
    monkeypatch.setattr(site, "write_atomic", lambda path, text, mode: written.append(path.name))
    site.build(settings)
    assert f'warmci_runs_kept{{mode="cold",recipe="app-0",verdict="pass"}} {PER_RECIPE}' in metrics.as_text(settings)
    assert read == []
    assert set(written) <= {"index.html"}  # which says when it was made


def test_forges_are_asked_side_by_side(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(len(RECIPES))

    def head(_: Settings, recipe: str) -> str:
        together.wait(timeout=20)
        return recipe

    monkeypatch.setattr(beginning, "default_head", head)
    items = beginning.planned(settings, RECIPES)
    assert {item.recipe for item in items} == set(RECIPES)
    assert all("changed since" in item.reason for item in items)
