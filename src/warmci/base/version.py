"""Which WarmCI this is: its version, the commit where that is known, and the format of what it keeps on disk."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from warmci.base import process
from warmci.base.errors import InfraError

STATE_FORMAT = 1
"""The schema_version of canonical.json and its siblings; a newer one is refused, never half understood."""
_NAME = "warmci"
_PACKAGE = Path(__file__).parents[1]
_TIMEOUT_S = 5.0


def number() -> str:
    """That of the tag it was built from; between two, of the next with `.dev` and the number of commits."""
    try:
        return distribution(_NAME).version
    except PackageNotFoundError:
        return "not installed"


def describe() -> str:
    """One line for `--version`."""
    commit = _of_installation() or _of_checkout() or _of_build()
    return f"warmci {number()}{f' ({commit[:12]})' if commit else ''}, state format {STATE_FORMAT}"


def _of_installation() -> str:
    """As pip noted it of one from git (PEP 610)."""
    try:
        noted = json.loads(distribution(_NAME).read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return ""
    return str(noted.get("vcs_info", {}).get("commit_id", ""))


def _of_checkout() -> str:
    checkout = _PACKAGE.parents[1]
    if not (checkout / ".git").exists() or _PACKAGE.parent.name != "src":
        return ""
    try:
        done = process.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], timeout_s=_TIMEOUT_S)
    except InfraError:
        return ""
    return done.stdout.strip()


def _of_build() -> str:
    """As hatch_build.py noted it in a wheel."""
    noted = _PACKAGE / "commit"
    return noted.read_text(encoding="utf-8").strip() if noted.is_file() else ""
