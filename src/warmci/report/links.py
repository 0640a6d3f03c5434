"""Where the web shows what a run tested: the forge's pages of its repository, and the CI job that called it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

LABELS = ("report", "pull request", "commit", "recipe", "CI job")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def repository_page(forge_url: str, forge_repository: str, source: str, recipe: str) -> str:
    """The repository's page: at the forge of the settings, else at the https source; empty for a path.

    Gitea and Forgejo serve pages at the URL that is cloned, without .git.
    """
    if forge_url:
        return f"{forge_url.rstrip('/')}/{forge_repository.format(recipe=recipe)}"
    parts = urlsplit(source)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    host = parts.hostname + (f":{parts.port}" if parts.port else "")  # never the login before it
    return urlunsplit((parts.scheme, host, parts.path.removesuffix(".git").rstrip("/"), "", ""))


def of_run(page: str, pr: str, commit: str, job: str, report: str = "") -> Mapping[str, str]:
    """Label to URL; only what is known. page: as repository_page says."""
    found = {
        "report": report,
        "pull request": f"{page}/pulls/{pr}" if page and _NUMBER.fullmatch(pr) else "",
        "commit": f"{page}/commit/{commit}" if page and _COMMIT.fullmatch(commit) else "",
        "recipe": page,
        "CI job": job,
    }
    return {label: url for label, url in found.items() if url}
