"""Collects what each crash test did; `--crash-results DIR` keeps it, for docs/reliability.md."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import crash_page
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaigns import Result

    Record = Callable[[str, str, Result], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crash-results", type=Path, help="keep results there, and write docs/reliability.md")
    parser.addoption("--crash-most", type=int, help="take at most so many points of each scenario, evenly spread")


@pytest.fixture(scope="session")
def most(request: pytest.FixtureRequest) -> int | None:
    """How many points of each scenario are taken, evenly spread; None takes all."""
    found = request.config.getoption("crash_most", default=None)
    return found if isinstance(found, int) else None


def _directory(config: pytest.Config) -> Path | None:
    found = config.getoption("crash_results", default=None)
    return found if isinstance(found, Path) else None


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Keep a result: the table it belongs to, its row and what happened."""
    directory = _directory(request.config)
    began = time.monotonic()

    def keep(table: str, row: str, result: Result) -> None:
        if directory is not None:
            facts = {
                "table": table,
                "row": row,
                "exist": result.exist,
                "cases": result.cases,
                "beyond": result.beyond,
                "wrong": len(result.wrong),
                "caught": result.caught,
                "seconds": round(time.monotonic() - began, 1),
            }
            name = "".join(char if char.isalnum() else "-" for char in request.node.name)
            (directory / f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")

    return keep


def pytest_sessionfinish(session: pytest.Session) -> None:
    directory = _directory(session.config)
    if directory is not None and not hasattr(session.config, "workerinput"):
        crash_page.write(directory)
