from __future__ import annotations

import os
import pty
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from warmci.report import console as consoles
from warmci.report.console import Console

if TYPE_CHECKING:
    import pytest


def test_a_bar_is_plain_lines_on_a_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "_PROGRESS_GAP_S", 0)
    with Console().bar("saving app", 3_000_000) as advance:
        advance(1_000_000)
        advance(1_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert [line.strip().rpartition(",")[0] for line in lines] == [
        "saving app: 1.0 MB of 3.0 MB",
        "saving app: 2.0 MB of 3.0 MB",
        "saving app: 3.0 MB of 3.0 MB",
    ]
    assert all(line.endswith(" s left") for line in lines)


def test_a_log_gets_one_line_in_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().bar("saving app", 1000) as advance:
        for _ in range(1000):
            advance(1)
    assert capsys.readouterr().err.count("saving app") <= 1


def test_a_bar_never_passes_its_end_nor_needs_one(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().bar("more than was planned", 10) as advance:
        threads = [threading.Thread(target=advance, args=(7,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with Console().bar("nothing to do", 0) as advance:
        advance(5)
    assert "of 10 bytes" in capsys.readouterr().err


def test_a_terminal_gets_a_live_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with Console().bar("saving app", 3_000_000) as advance:
            advance(1_500_000)
    with os.fdopen(master, "rb", buffering=0) as screen:
        written = b""
        with suppress(OSError):  # EIO is the end: the other side is closed
            while more := screen.read(65536):
                written += more
    shown = written.decode()
    assert "saving app" in shown
    assert "1.5/3.0 MB" in shown or "3.0/3.0 MB" in shown
    assert "\x1b[" in shown
