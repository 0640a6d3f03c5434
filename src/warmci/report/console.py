"""Talk to the person at the terminal or to the CI's log: stderr only; data goes to stdout elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from rich.console import Console as RichConsole
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from warmci.base.redaction import Redactor
from warmci.base.text import block, line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.status import Status

_MARKS = {"ok": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "yellow")}
_PROGRESS_GAP_S = 5.0
_LOG_WIDTH = 150


class _Stderr(RichConsole):
    def on_broken_pipe(self) -> None:
        """Whoever read our talk has gone; the work goes on without it (rich would end the program with 1)."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Console:
    """Stage lines with seconds: a live one on a terminal, plain lines elsewhere.

    Whatever is said is cleaned (base/text.py) and shown as it stands: rich's markup is never read.
    """

    def __init__(self, *, quiet: bool = False, redactor: Redactor | None = None) -> None:
        self._rich = _Stderr(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        if not self._rich.is_terminal:
            self._rich.width = _LOG_WIDTH
        self._live = self._rich.is_terminal and not quiet
        self.redact = redactor or Redactor()
        self._started = time.monotonic()
        self._last_progress = 0.0
        self._status: Status | None = None

    def say(self, text: str, style: str = "") -> None:
        self._rich.print(Text(block(self.redact(text)), style=style))

    def error(self, message: str, hint: str | None) -> None:
        self._rich.print(Text(f"error: {line(self.redact(message))}", style="bold red"))
        if hint:
            self._rich.print(Text(f"hint: {line(self.redact(hint))}"))

    def end_stage(self, name: str, outcome: str, seconds: float, detail: str = "") -> None:
        mark, colour = _MARKS[outcome]
        shown = Text.assemble((f"{mark} ", colour), f"{line(name):<34}", (f"{seconds:7.2f} s", "bold"))
        if detail:
            shown.append(f"  {line(self.redact(detail))}", style="" if outcome == "failed" else "dim")
        self._rich.print(shown)

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """Shows that `name` is under way: a spinner with seconds on a terminal."""
        if not self._live:
            yield
            return
        with self._rich.status(Text(f"{line(name)}…")) as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None

    def progress(self, text: str) -> None:
        """The state a wait is in; on a plain log at most one line in five seconds."""
        text = line(self.redact(text))
        if self._status is not None:
            self._status.update(Text(text[:120]))
        elif time.monotonic() - self._last_progress > _PROGRESS_GAP_S:
            self._last_progress = time.monotonic()
            self._rich.print(Text(f"    {text}", style="dim"))

    @contextmanager
    def bar(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Bytes done of total, and the seconds left; yields what is to be told each further number of bytes."""
        began, done, one_at_a_time = time.monotonic(), 0, threading.Lock()
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=self._rich,
        )
        task = bar.add_task(line(name), total=total or None)

        def advance(count: int) -> None:
            nonlocal done
            with one_at_a_time:
                done = min(done + count, total)
            bar.update(task, completed=done)
            if not self._live and done:
                left = (time.monotonic() - began) * (total - done) / done
                self.progress(f"{name}: {decimal(done)} of {decimal(total)}, {left:.0f} s left")

        with bar if self._live else nullcontext():
            yield advance
            advance(total)

    def clear(self) -> None:
        """For a view that is drawn anew; a log keeps all."""
        if self._rich.is_terminal:
            self._rich.clear()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(*columns, title=Text(line(title)), title_justify="left", title_style="bold")
        for row in rows:
            table.add_row(*(Text(block(self.redact(cell))) for cell in row))
        self._rich.print(table)


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
