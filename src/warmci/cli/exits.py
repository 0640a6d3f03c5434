"""The one place that turns errors into exit codes; used by both entry files."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

from warmci.base import bug, interrupts
from warmci.base.errors import WarmciError
from warmci.report.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BUG = 70
INTERRUPTED = 130


def run_main(app: Callable[[Sequence[str]], object], argv: Sequence[str]) -> int:
    """Run a command line to its exit code. Tracebacks only for our own bugs, and into a file."""
    interrupts.install()
    try:
        app(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except WarmciError as error:
        Console().error(error.message, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        Console().error("interrupted", None)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  (whatever is not ours to expect is a bug, and is said to be one)
        if isinstance(error, BrokenPipeError) and _is_gone(sys.stdout.fileno()):
            # Nobody reads our output any more; what was to be done has been done.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        Console().error(bug.message(error, bug.keep(" ".join(argv), None)), bug.HINT)
        return BUG
    return 0


def _is_gone(fd: int) -> bool:
    """Whether the reader of a pipe has closed it."""
    probe = select.poll()
    probe.register(fd, 0)
    return any(event & select.POLLERR for _, event in probe.poll(0))
