"""Which WarmCI this is: its version, the commit where that is known, and the format of what it keeps on disk."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from warmci import __version__
from warmci.base import process
from warmci.base.errors import InfraError

STATE_FORMAT = 1
"""The schema_version of canonical.json and its siblings; a newer one is refused, never half understood."""
_TIMEOUT_S = 5.0


def describe() -> str:
    """One line for `--version`."""
    commit = _commit()
    return f"warmci {__version__}{f' ({commit[:12]})' if commit else ''}, state format {STATE_FORMAT}"


def _commit() -> str:
    """Of an installation from git as pip noted it (PEP 610), or of the checkout that this runs from; else empty."""
    try:
        noted = json.loads(distribution("warmci").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        noted = {}
    if commit := noted.get("vcs_info", {}).get("commit_id"):
        return str(commit)
    checkout = Path(__file__).parents[3]
    if not (checkout / ".git").exists() or not (checkout / "src" / "warmci").is_dir():
        return ""
    try:
        done = process.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], timeout_s=_TIMEOUT_S)
    except InfraError:
        return ""
    return done.stdout.strip()
