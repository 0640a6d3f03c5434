"""Talk to the person at the terminal or to the CI's log: stderr only; data goes to stdout elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from warmci.base.redaction import Redactor
from warmci.base.text import block, line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_MARKS = {"ok": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "yellow")}
_PROGRESS_GAP_S = 5.0


class Console:
    """Stage lines with seconds: a live one on a terminal, plain lines elsewhere.

    Whatever is said is cleaned (base/text.py) and shown as it stands: rich's markup is never read.
    """

    def __init__(self, *, quiet: bool = False, redactor: Redactor | None = None) -> None:
        from warmci.report.terminal import Terminal  # noqa: PLC0415  (--help stays quick)

        self._terminal = Terminal(quiet=quiet)
        self.redact = redactor or Redactor()
        self._started = time.monotonic()
        self._last_progress = 0.0

    def move_to(self, log: Path) -> None:
        """From now on talk, and whatever else goes to standard error, goes to this file."""
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        sys.stderr.flush()
        os.dup2(fd, sys.stderr.fileno())
        os.close(fd)
        from warmci.report.terminal import Terminal  # noqa: PLC0415  (--help stays quick)

        self._terminal = Terminal(quiet=False)

    def say(self, text: str, style: str = "") -> None:
        self._terminal.show((block(self.redact(text)), style))

    def error(self, message: str, hint: str | None) -> None:
        self._terminal.show((f"error: {line(self.redact(message))}", "bold red"))
        if hint:
            self._terminal.show((f"hint: {line(self.redact(hint))}", ""))

    def end_stage(self, name: str, outcome: str, seconds: float, detail: str = "") -> None:
        mark, colour = _MARKS[outcome]
        shown = [(f"{mark} ", colour), (f"{line(name):<34}", ""), (f"{seconds:7.2f} s", "bold")]
        if detail:
            shown.append((f"  {line(self.redact(detail))}", "" if outcome == "failed" else "dim"))
        self._terminal.show(*shown)

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """Shows that `name` is under way: a spinner with seconds on a terminal."""
        with self._terminal.spinning(f"{line(name)}…") if self._terminal.is_live else nullcontext():
            yield

    def progress(self, text: str, *, gap_s: float | None = None) -> None:
        """The state a wait is in; on a plain log at most one line in gap_s seconds; default: five."""
        text = line(self.redact(text))
        if self._terminal.spun(text[:120]):
            return
        if time.monotonic() - self._last_progress > (_PROGRESS_GAP_S if gap_s is None else gap_s):
            self._last_progress = time.monotonic()
            self._terminal.show((f"    {text}", "dim"))

    @contextmanager
    def bar(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Bytes done of total, and the seconds left; yields what is to be told each further number of bytes."""
        began, done, one_at_a_time = time.monotonic(), 0, threading.Lock()

        def said(so_far: int) -> None:
            if so_far:
                left = (time.monotonic() - began) * (total - so_far) / so_far
                self.progress(f"{name}: {size(so_far)} of {size(total)}, {left:.0f} s left")

        is_live = self._terminal.is_live
        with self._terminal.bar(line(name), total) if is_live else nullcontext(said) as show:

            def advance(count: int) -> None:
                nonlocal done
                with one_at_a_time:
                    done = min(done + count, total)
                show(done)

            yield advance
            advance(total)

    def clear(self) -> None:
        """For a view that is drawn anew; a log keeps all."""
        self._terminal.clear()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str = "") -> None:
        """empty: what is said where there is no row."""
        if empty and not rows:
            self.say(empty)
            return
        cells = [[block(self.redact(cell)) for cell in row] for row in rows]
        self._terminal.table(line(title), columns, cells)


def size(count: int) -> str:
    """Bytes for a reader."""
    from rich.filesize import decimal  # noqa: PLC0415  (--help stays quick)

    return decimal(count)


class Output:
    """What this process has written to stdout: one document at most, so that a reader can parse it."""

    printed = False


def print_data(text: str) -> None:
    """The one way to stdout; a reader that has gone away must not end a run."""
    Output.printed = True
    try:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the exit code tells of it
        sys.stderr.write("warning: nobody reads standard output\n")
