"""What is kept of an error that nobody foresaw: enough to find it, no values of variables."""

from __future__ import annotations

import os
import platform
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base import version

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "bug.log"
HINT = "please report it"


def message(error: BaseException, log: Path) -> str:
    return f"this is a bug in WarmCI: {type(error).__name__}; details in {log}"


def keep(what: str, directory: Path | None, redact: Callable[[str], str] = str) -> Path:
    """Write versions, what was asked for and the traceback of the error at hand, 0600; returns where.

    directory: where bug.log goes; without one, or where it cannot be written, into a temporary file.
    """
    text = redact(
        f"{version.describe()}, Python {platform.python_version()}, {platform.platform()}\n"
        f"{time.strftime('%F %T %z')}: {what}\n\n{traceback.format_exc()}"
    )
    try:
        if directory is None:
            return _temporary(text)
        fd = os.open(directory / NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return _temporary(text)
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    return directory / NAME


def _temporary(text: str) -> Path:
    fd, name = tempfile.mkstemp(prefix="warmci-bug-", suffix=".log")
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    return Path(name)
