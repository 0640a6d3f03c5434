"""Which kind of cause a run's own words tell of.

Looked for in the error itself, then in the log from its end. What fits none has no kind; the words stand in the result
either way.
"""

from __future__ import annotations

import re

from warmci.base.causes import CATALOGUE, HOW, Kind
from warmci.base.models import Cause

_FLAGS = re.IGNORECASE


def find_cause(message: str, log: str) -> Cause | None:
    """The kind that the error's or the log's words tell of, with the line that does."""
    for line in message.splitlines():
        for kind in CATALOGUE:
            if re.search(kind.said, line, _FLAGS):
                return _better(kind, line, log)
    return _in_log(log)


def _better(kind: Kind, line: str, log: str) -> Cause:
    """That it loops or is late only says how it showed; the log may say why."""
    if kind.name in HOW and (found := _in_log(log)):
        return found
    return Cause(kind=kind.name, line=line.strip()[:300], help=kind.help)


def _in_log(log: str) -> Cause | None:
    for line in reversed(log.splitlines()):
        for kind in CATALOGUE:
            if kind.in_log and re.search(kind.said, line, _FLAGS):
                return Cause(kind=kind.name, line=line.strip()[:300], help=kind.help)
    return None
