from __future__ import annotations

import os
import pty
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from warmci.report import console as consoles
from warmci.report.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Standard error is a terminal within; what was written there is in the list afterwards."""
    master, slave = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    written: list[str] = []
    with os.fdopen(slave, "w") as shown:
        monkeypatch.setattr("sys.stderr", shown)
        yield written
    with os.fdopen(master, "rb", buffering=0) as screen:
        found = b""
        with suppress(OSError):  # EIO is the end: the other side is closed
            while more := screen.read(65536):
                found += more
    written.append(found.decode())


def test_a_terminal_gets_a_live_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as written, Console().bar("saving app", 3_000_000) as advance:
        advance(1_500_000)
    (shown,) = written
    assert "saving app" in shown
    assert "1.5/3.0 MB" in shown or "3.0/3.0 MB" in shown
    assert "\x1b[" in shown


def test_two_threads_share_one_spinner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says what it is at; rich takes one live display at a time."""
    met, failed = threading.Barrier(2), list[Exception]()

    def half(name: str) -> None:
        try:
            with console.working(name):
                met.wait(60)
                console.progress(f"{name}: app 0/1")
                met.wait(60)
                time.sleep(0.3)  # a frame or two
                met.wait(60)
        except Exception as error:  # noqa: BLE001  (a thread's own is told by nobody)
            failed.append(error)

    with terminal(monkeypatch) as written:
        console = Console()
        threads = [threading.Thread(target=half, args=(name,)) for name in ("fresh", "upgrade")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        console.say("the end")
    assert failed == []
    (shown,) = written
    assert "fresh: app 0/1 | upgrade: app 0/1" in shown or "upgrade: app 0/1 | fresh: app 0/1" in shown
    assert shown.rstrip().endswith("the end")
