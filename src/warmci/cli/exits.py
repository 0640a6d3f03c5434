"""The one place that turns errors into exit codes; used by every entry file."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

import typer
from typer.exceptions import TyperException

from warmci.base import interrupts
from warmci.base.errors import UsageError, WarmciError
from warmci.report.console import Console, Output, print_data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BUG = 70
INTERRUPTED = 130


def run_main(app: Callable[[Sequence[str]], object], argv: Sequence[str]) -> int:
    """Run a command line to its exit code. Tracebacks only for our own bugs, and into a file.

    With --json among the arguments, an error is told on standard output, too (models.ErrorReport), unless the command's
    own data stand there already.
    """
    interrupts.install()
    Output.printed = False
    try:
        try:
            ended = app(argv)
        finally:
            interrupts.end()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except WarmciError as error:
        return _told(argv, error.message, error.hint, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _told(argv, "interrupted", None, INTERRUPTED)
    except TyperException as error:
        return _misused(argv, error)
    except Exception as error:  # noqa: BLE001  (whatever is not ours to expect is a bug, and is said to be one)
        return _unforeseen(argv, error)
    return ended if isinstance(ended, int) else 0


def _unforeseen(argv: Sequence[str], error: Exception) -> int:
    if isinstance(error, BrokenPipeError) and _is_gone(sys.stdout.fileno()):
        # Nobody reads our output any more; what was to be done has been done.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    from warmci.base import bug  # noqa: PLC0415  (--help stays quick)

    return _told(argv, bug.message(error, bug.keep(" ".join(argv), None)), bug.HINT, BUG)


def _told(argv: Sequence[str], message: str, hint: str | None, code: int) -> int:
    Console().error(message, hint)
    _as_data(argv, message, hint or "", code)
    return code


def _misused(argv: Sequence[str], error: TyperException) -> int:
    """Wrong arguments: typer's own words, which name the command's usage."""
    show, words = getattr(error, "show", None), getattr(error, "format_message", None)
    if show is None or words is None:
        raise error
    show()
    code = int(getattr(error, "exit_code", UsageError.exit_code))
    _as_data(argv, words(), "--help", code)
    return code


def _as_data(argv: Sequence[str], message: str, hint: str, code: int) -> None:
    from warmci.base.models import ErrorReport  # noqa: PLC0415  (--help stays quick)

    options = argv[: argv.index("--")] if "--" in argv else argv
    if "--json" in options and code and not Output.printed:
        print_data(ErrorReport(error=message, hint=hint, exit_code=code).model_dump_json(indent=2))


def _is_gone(fd: int) -> bool:
    """Whether the reader of a pipe has closed it."""
    probe = select.poll()
    probe.register(fd, 0)
    return any(event & select.POLLERR for _, event in probe.poll(0))
