"""What the kernel tells of idle processors."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from warmci.base import host_load

if TYPE_CHECKING:
    from pathlib import Path


def stat(path: Path, idle: int, iowait: int) -> None:
    path.write_text(f"cpu  10 0 10 {idle} {iowait} 0 0 0 0 0\ncpu0 5 0 5 1 1 0 0 0 0 0\n", encoding="ascii")


def test_the_processors_that_had_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks, now = os.sysconf("SC_CLK_TCK"), [100.0]
    monkeypatch.setattr(host_load, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(host_load, "time", SimpleNamespace(monotonic=lambda: now[0]))
    stat(tmp_path / "stat", 50 * ticks, 0)
    watched = host_load.IdleCores()
    now[0] += 2.0
    stat(tmp_path / "stat", 52 * ticks, ticks)
    assert watched.mean() == pytest.approx(1.5)
    stat(tmp_path / "stat", 50 * ticks, 0)
    assert watched.mean() == 0.0


def test_too_short_a_time_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_load, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(host_load, "time", SimpleNamespace(monotonic=lambda: 100.0))
    stat(tmp_path / "stat", 1, 1)
    assert host_load.IdleCores().mean() == os.cpu_count()


def test_this_host() -> None:
    watched = host_load.IdleCores()
    assert 0.0 <= watched.mean() <= (os.cpu_count() or 1)
