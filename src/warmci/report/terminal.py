"""All that needs rich, which takes as long to import as --help takes: imported when the first word is said."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.status import Status

_LOG_WIDTH = 150


class _Stderr(RichConsole):
    def on_broken_pipe(self) -> None:
        """Whoever read our talk has gone; the work goes on without it (rich would end the program with 1)."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Terminal:
    """stderr. What is shown is cleaned before, and stands as it is: rich's markup is never read."""

    def __init__(self, *, quiet: bool) -> None:
        self._rich = _Stderr(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        if not self._rich.is_terminal:
            self._rich.width = _LOG_WIDTH
        self.is_live = self._rich.is_terminal and not quiet
        self._status: Status | None = None
        self._lock = threading.Lock()
        self._under_way: dict[int, str] = {}
        """What each thread is at."""

    def show(self, *parts: tuple[str, str]) -> None:
        """One line of (text, style)."""
        self._rich.print(Text.assemble(*parts))

    @contextmanager
    def spinning(self, text: str) -> Iterator[None]:
        """One spinner, whatever the number of threads that are at something."""
        me = threading.get_ident()
        self._spin(me, text)
        try:
            yield
        finally:
            self._spin(me, None)

    def _spin(self, thread: int, text: str | None) -> None:
        """What a thread is at from now on; None: at nothing."""
        with self._lock:
            if text is None:
                self._under_way.pop(thread, None)
            else:
                self._under_way[thread] = text
            if self._status is None and self._under_way:
                self._status = self._rich.status("")
                self._status.start()
            if self._status is not None and not self._under_way:
                self._status.stop()
                self._status = None
            if self._status is not None:
                self._status.update(Text(" | ".join(self._under_way.values())))

    def spun(self, text: str) -> bool:
        """Put a text beside the spinner; whether there is one. A thread that has none speaks for the first that has."""
        me, at_something = threading.get_ident(), list(self._under_way)
        if not at_something:
            return False
        self._spin(me if me in at_something else at_something[0], text)
        return True

    @contextmanager
    def bar(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Bytes of total; yields what is to be told how many are done."""
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._rich) as bar:
            task = bar.add_task(name, total=total or None)
            yield lambda done: bar.update(task, completed=done)

    def clear(self) -> None:
        if self._rich.is_terminal:
            self._rich.clear()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """As a table where each word fits; else cell by cell: an id that is folded cannot be copied."""
        widths = _widths([columns, *rows], self._rich.width)
        if widths is None:
            self._records(title, columns, rows)
            return
        shown = [Column(name, overflow="fold", width=width) for name, width in zip(columns, widths, strict=True)]
        table = Table(*shown, title=Text(title), title_justify="left", title_style="bold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._rich.print(table)

    def _records(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.show((title, "bold"))
        indent = max(len(name) for name in columns) + 2
        for row in rows:
            self.show((row[0], "bold"))
            for name, cell in list(zip(columns, row, strict=True))[1:]:
                for number, text in enumerate(cell.splitlines()):
                    self.show((f"  {'' if number else name:<{indent}}{text}", ""))


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Of each column, so that no word is folded; None where there is no room for that."""
    columns = list(zip(*rows, strict=True))
    widths = [max(cell_len(text) for cell in column for text in cell.splitlines() or [""]) for column in columns]
    least = [max(cell_len(word) for cell in column for word in cell.split() or [""]) for column in columns]
    over = sum(widths) + 3 * len(widths) + 1 - room
    while over > 0:
        spare = [width if width > word else 0 for width, word in zip(widths, least, strict=True)]
        if not any(spare):
            return None
        widths[spare.index(max(spare))] -= 1
        over -= 1
    return widths
