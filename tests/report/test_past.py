"""What is read of results: each once, however many there are, and again where it is another one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from support.results import result
from warmci.base import fs
from warmci.base.models import Promotion, RunResult, Verdict
from warmci.report import past
from warmci.report.past import INDEX, WRITE_FROM, Past, newest, read_past

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 3 * WRITE_FROM


def nightly(number: int) -> RunResult:
    started = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=number)
    return result(
        run=f"{started:%Y%m%dT%H%M%SZ}-000000",
        started=started,
        links={"pull request": "https://git.example.org/8"},
        promotion=Promotion(action="advance", outcome="ok", reason="newer"),
    )


def write(runs_dir: Path, one: RunResult) -> None:
    (runs_dir / one.run).mkdir(exist_ok=True)
    fs.write_json(runs_dir / one.run / "result.json", one.model_dump(mode="json"))


@pytest.fixture
def known(tmp_path: Path) -> list[RunResult]:
    found = [nightly(number) for number in range(COUNT)]
    for one in found:
        write(tmp_path, one)
    return found


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs whose result was read whole."""
    runs: list[str] = []

    def counted(runs_dir: Path, run: str) -> Past | None:
        runs.append(run)
        return whole(runs_dir, run)

    whole = past._read
    monkeypatch.setattr(past, "_read", counted)
    return runs


def test_each_result_is_read_once_and_means_the_same_afterwards(
    tmp_path: Path, known: list[RunResult], read: list[str]
) -> None:
    expected = [Past.of(one) for one in known]
    assert read_past(tmp_path) == expected
    assert len(read) == COUNT
    assert read_past(tmp_path) == expected
    assert len(read) == COUNT
    assert (tmp_path / INDEX).stat().st_mode & 0o777 == 0o600


def test_what_was_written_anew_or_is_gone_is_seen(tmp_path: Path, known: list[RunResult], read: list[str]) -> None:
    read_past(tmp_path)
    del read[:]
    write(tmp_path, changed := known[3].model_copy(update={"verdict": Verdict.FAIL, "exit_code": 1}))
    (tmp_path / known[5].run / "result.json").unlink()
    expected = [Past.of(changed if one.run == changed.run else one) for one in known if one.run != known[5].run]
    assert read_past(tmp_path) == expected
    assert read == [changed.run]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fields": [], "runs": {}}', "[" * 100_000])
def test_an_index_that_is_none_costs_time_alone(
    tmp_path: Path, known: list[RunResult], read: list[str], text: str
) -> None:
    (tmp_path / INDEX).write_text(text)
    assert read_past(tmp_path) == [Past.of(one) for one in known]
    assert read_past(tmp_path) == [Past.of(one) for one in known]
    assert len(read) == COUNT


def test_a_line_that_says_nothing_is_read_anew(tmp_path: Path, known: list[RunResult], read: list[str]) -> None:
    read_past(tmp_path)
    del read[:]
    text = (tmp_path / INDEX).read_text()
    (tmp_path / INDEX).write_text(text.replace('"pass"', '"what"', 1))
    assert read_past(tmp_path) == [Past.of(one) for one in known]
    assert read == [known[0].run]


def test_the_newest_are_found_without_the_others(tmp_path: Path, known: list[RunResult], read: list[str]) -> None:
    last = known[-1].model_copy(update={"run": "29991231T000000Z-000000", "verdict": Verdict.USAGE})
    write(tmp_path, last)
    assert list(islice(newest(tmp_path), 2)) == [Past.of(known[-1]), Past.of(known[-2])]
    assert len(read) == 3
    assert not (tmp_path / INDEX).exists()


def test_mistakes_and_the_future_are_left_out_with_the_index_too(tmp_path: Path, known: list[RunResult]) -> None:
    write(tmp_path, known[0].model_copy(update={"verdict": Verdict.USAGE}))
    until = known[-2].started + timedelta(seconds=1)
    for _ in range(2):
        assert [one.run for one in read_past(tmp_path, until)] == [one.run for one in known[1:-1]]


def test_no_results_are_none(tmp_path: Path) -> None:
    assert read_past(tmp_path / "none") == []
    assert list(newest(tmp_path / "none")) == []
