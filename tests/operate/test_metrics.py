"""Metrics: the text format to the letter, from the state directory, replaced by one rename."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.results import quick_fail, result
from support.trees import canonical_of, save
from warmci.base import fs
from warmci.base.errors import UsageError
from warmci.base.locks import Holder, slot
from warmci.base.models import Verdict
from warmci.base.names import new_id
from warmci.base.settings import Settings, load
from warmci.base.state import open_state
from warmci.cli import app
from warmci.operate import metrics
from warmci.report import alerts
from warmci.report.console import Console
from warmci.report.sweep_record import Sweep, SweepItem, save_sweep
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
SAMPLE = re.compile(
    r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|[+-]Inf)'
)
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"')


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample; fails on whatever the format does not allow."""
    assert text.endswith("\n")
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    family, families = "", []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in families, "a family stands together, once"
            families.append(family)
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {family} gauge"
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] == family
            key = (match[1].removeprefix("warmci_"), tuple(sorted(LABEL.findall(match[2] or ""))))
            assert key not in found, f"{key} stands twice"
            found[key] = float(match[3])
    return found


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    mask = os.umask(0o077)
    state = open_state(tmp_path / "state").dir
    monkeypatch.setenv("WARMCI_STATE_DIR", str(state))
    (tmp_path / "textfile").mkdir()
    yield Settings(state_dir=state, metrics_file=tmp_path / "textfile" / "warmci.prom")
    os.umask(mask)


def ran(settings: Settings, day: int, **changes: Any) -> None:
    run = f"202611{day:02}T000000Z-000000"
    made = result(run=run, started=datetime(2026, 11, day, tzinfo=UTC), **changes)
    (settings.runs_dir / run).mkdir()
    fs.write_json(settings.runs_dir / run / "result.json", made.model_dump(mode="json"))


def test_an_empty_state(settings: Settings) -> None:
    found = parsed(metrics.as_text(settings))
    assert found["slots", ()] == 2
    assert found["slots_held", ()] == 0
    assert found["alerts", ()] == 0
    assert found["unreadable", ()] == 0
    assert found["disk_low", ()] == 0
    assert found["engine_up", ()] == 0
    assert found["disk_free_bytes", ()] > 0
    assert not [name for name, _ in found if name.startswith(("canonical", "last_"))]


def test_everything(settings: Settings) -> None:
    canonical = canonical_of(save(settings.state_dir))
    store = CanonicalStore(settings.state_dir)
    store.commit(canonical)
    ran(settings, 1)
    ran(settings, 2, verdict=Verdict.FAIL, exit_code=1, seconds=12.5)
    ran(settings, 3, requested="quick", ran="quick")
    now = datetime(2026, 11, 24, 3, tzinfo=UTC)
    items = tuple(SweepItem(recipe=name, reason="", state="done") for name in ("a", "b"))
    done = Sweep(id=new_id(), started=now, finished=now, max_tests=2, items=items, exit_code=6, stale=("a",))
    save_sweep(settings.state_dir, done)
    alerts.alert(settings, Console(quiet=True), "sweep", "red", "warmci status")
    with slot(settings.state_dir, 2, Holder.here("r", "demo", "run cold"), wait_s=0):
        found = parsed(metrics.as_text(settings))
    demo, cold = (("recipe", "demo"),), (("mode", "cold"), ("recipe", "miniflux"))
    assert found["canonical_good", demo] == 1
    assert found["canonical_created_timestamp_seconds", demo] == canonical.created.timestamp()
    assert found["canonical_info", (("recipe", "demo"), ("version", "1.0.0+1.2"))] == 1
    assert found["last_run_exit_code", cold] == 1
    assert found["last_run_seconds", cold] == 12.5
    assert found["last_run_timestamp_seconds", cold] == datetime(2026, 11, 2, tzinfo=UTC).timestamp()
    assert found["runs_kept", (*cold, ("verdict", "pass"))] == 1
    assert found["runs_kept", (("mode", "quick"), ("recipe", "miniflux"), ("verdict", "pass"))] == 1
    assert found["slots_held", ()] == 1
    assert found["last_sweep_timestamp_seconds", ()] == now.timestamp()
    assert found["last_sweep_exit_code", ()] == 6
    assert found["last_sweep_recipes", (("state", "done"),)] == 2
    assert found["last_sweep_stale_recipes", ()] == 1
    assert found["alerts", ()] == 1
    assert "canary" not in metrics.as_text(settings)
    store.mark_dirty("demo", "test")
    assert parsed(metrics.as_text(settings))["canonical_good", demo] == 0


def test_what_cannot_be_read_is_counted_and_hides_nothing_else(settings: Settings) -> None:
    CanonicalStore(settings.state_dir).commit(canonical_of(save(settings.state_dir)))
    (settings.state_dir / "demo" / "canonical.json").write_text("{")
    (settings.state_dir / ".alerts").mkdir()
    (settings.state_dir / ".alerts" / "sweep.json").write_text("{")
    found = parsed(metrics.as_text(settings))
    assert found["canonical_good", (("recipe", "demo"),)] == 0
    assert found["unreadable", ()] == 1
    assert found["slots", ()] == 2


@given(st.dictionaries(st.sampled_from(["recipe", "version"]), st.text(), min_size=1), st.floats(0, 1e300))
def test_any_label_and_any_figure_can_be_read_back(labels: dict[str, str], value: float) -> None:
    page = metrics._Page()
    page.gauge("slots", value, **{name: text.replace("\r", "") for name, text in labels.items()})
    lines = str(page).split("\n")
    assert len(lines) == 4
    match = SAMPLE.fullmatch(lines[2])
    assert match
    assert float(match[3]) == value


def test_the_file_is_replaced_and_readable_by_the_exporter(settings: Settings) -> None:
    said: list[str] = []
    assert settings.metrics_file
    metrics.write(settings, said.append)
    before = settings.metrics_file.stat()
    metrics.write(settings, said.append)
    assert settings.metrics_file.stat().st_ino != before.st_ino
    assert before.st_mode & 0o777 == 0o644
    assert [path.name for path in settings.metrics_file.parent.iterdir()] == ["warmci.prom"]
    assert parsed(settings.metrics_file.read_text())["unreadable", ()] == 0
    assert said == []


def test_a_file_that_cannot_be_written_is_a_warning(settings: Settings) -> None:
    said: list[str] = []
    assert settings.metrics_file
    settings.metrics_file.parent.rmdir()
    metrics.write(settings, said.append)
    assert said == [f"warning: {settings.metrics_file} is not written: No such file or directory"]
    metrics.write(settings.model_copy(update={"metrics_file": None}), said.append)
    assert len(said) == 1


@pytest.mark.parametrize("path", ["relative.prom", "/var/lib/x.txt", "/var/lib/x"])
def test_other_names_are_not_read_by_the_exporter(path: str) -> None:
    with pytest.raises(UsageError, match="prom"):
        load(metrics_file=path)


def test_the_command_prints_them(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    ran(settings, 1, requested=quick_fail().requested)
    assert app.main(["metrics"]) == 0
    assert parsed(capsys.readouterr().out)["slots", ()] == 2
