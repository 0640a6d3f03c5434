"""How much of the host's processors was left over lately."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_AT_LEAST_S = 0.1
"""The kernel counts in hundredths of a second."""


class IdleCores:
    """Watches from when it is made."""

    def __init__(self) -> None:
        self._began, self._idle_s = time.monotonic(), _idle_s()

    def mean(self) -> float:
        """Processors that had nothing to do, since then; all of them where too little time has passed to tell."""
        passed_s = time.monotonic() - self._began
        if passed_s < _AT_LEAST_S:
            return float(os.cpu_count() or 1)
        return max(0.0, _idle_s() - self._idle_s) / passed_s


def _idle_s() -> float:
    """Of all processors together since the host started; proc_stat(5): idle, and waiting for a disk."""
    fields = _STAT.read_text(encoding="ascii").split(maxsplit=6)
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
