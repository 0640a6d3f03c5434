"""Notes in a wheel and in a source distribution which commit they are made of; `warmci --version` says it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "commit"


class CommitHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable installation is left as it is: a checkout is asked when the question comes."""
        root = Path(self.root)
        commit = _of_archive(root) or _of_checkout(root)
        if version == "editable" or not commit:
            return
        self._kept = tempfile.NamedTemporaryFile("w", prefix="warmci-commit-", encoding="utf-8")  # noqa: SIM115
        self._kept.write(f"{commit}\n")
        self._kept.flush()
        place = "src/warmci" if self.target_name == "sdist" else "warmci"
        build_data["force_include"][self._kept.name] = f"{place}/{NAME}"


def _of_archive(root: Path) -> str:
    """What `git archive`, and so a forge's tarball, puts in place of the word; a checkout has the word itself."""
    noted = (root / ".git_archival.txt").read_text(encoding="utf-8")
    found = re.search(r"^commit: ([0-9a-f]{40,64})$", noted, re.MULTILINE)
    return found[1] if found else ""


def _of_checkout(root: Path) -> str:
    """Empty where this is none, or git is missing or refuses. A source distribution has the file already."""
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
