"""A kept run's record and directory, which go when the run ends, whoever looks at them just then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from support.results import RUN
from warmci.base.errors import InfraError, UsageError
from warmci.base.run_locks import run_lock
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.run import kept_app
from warmci.testing.suite import TestContext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warmci.base.run_locks import RunLock

SLEEPS = "import time\n\ndef test_it(): time.sleep(0.2)\n"
ENDS = "import shutil\n\ndef test_it(): shutil.rmtree({work!r})\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    open_state(tmp_path / "state", floor_bytes=0)
    return Settings(state_dir=tmp_path / "state")


@pytest.fixture
def living(settings: Settings) -> Iterator[RunLock]:
    with run_lock(settings.runs_dir / RUN) as lock:
        (lock.dir / "work").mkdir()
        yield lock


def kept(tests_dir: Path) -> kept_app.KeptApp:
    context = TestContext(
        recipe="demo", run=RUN, phase="install", url="http://a.test", domain="a.test", base_domain="test",
        address="127.0.0.1", stack="demo", docker_host="unix:///none",
    )  # fmt: skip
    return kept_app.KeptApp(
        run=RUN, recipe="demo", pid=1, until=datetime.now(UTC), tests_dir=tests_dir, test_timeout_s=30, services=(),
        routed="", context=context,
    )  # fmt: skip


def operators(tmp_path: Path, text: str) -> Path:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "test_demo.py").write_text(text, encoding="utf-8")
    return tmp_path / "demo"


def test_a_directory_that_goes_while_the_tests_run_is_said(settings: Settings, living: RunLock, tmp_path: Path) -> None:
    tests = operators(tmp_path, ENDS.format(work=str(living.dir / "work")))
    with pytest.raises(InfraError, match=f"the tests of run {RUN} cannot run: .*No such file") as told:
        kept_app.test_again(settings, kept(tests), [], None)
    assert told.value.hint == "warmci doctor"


def test_a_run_that_ended_meanwhile_is_said_and_nothing_is_left_of_the_tests(
    settings: Settings, living: RunLock, tmp_path: Path
) -> None:
    """Its clean-up was over before the tests made their directory."""
    tests = operators(tmp_path, SLEEPS)
    (living.dir / "work").rmdir()
    living.release()
    with pytest.raises(InfraError, match=f"run {RUN} ended while its tests ran") as told:
        kept_app.test_again(settings, kept(tests), [], None)
    assert told.value.hint == "--keep-for keeps it longer"
    assert not (living.dir / "work").exists()


def test_a_record_that_is_not_there_or_not_to_be_read(settings: Settings, living: RunLock) -> None:
    with pytest.raises(UsageError, match="under way, and not kept"):
        kept_app.find(settings, RUN)
    kept_app.record_path(living.dir).write_text('{"run": 1}', encoding="utf-8")
    with pytest.raises(InfraError, match=r"kept\.json cannot be read: not what this version writes") as told:
        kept_app.find(settings, RUN)
    assert "warmci locks" in (told.value.hint or "")
    kept_app.record_path(living.dir).unlink()
    kept_app.record_path(living.dir).mkdir()
    with pytest.raises(InfraError, match=r"kept\.json cannot be read: Is a directory"):
        kept_app.find(settings, RUN)
