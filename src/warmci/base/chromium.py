"""The system's Chromium, which draws what a visitor of an app sees; there need not be one."""

from __future__ import annotations

import shutil

_PROGRAMS = ("chromium", "chromium-browser")
WHERE = "Debian's package chromium; or the setting screenshots"


def find() -> str:
    """Its path; empty where there is none."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), "")
