"""A recipe's repository as its forge has it, made with real git."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base import process

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


class Upstream:
    """The forge's side of a recipe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        return process.run(["git", *arguments], cwd=self.path, env=IDENTITY, timeout_s=10).stdout.strip()

    def commit(self, text: str, *tags: str) -> str:
        (self.path / "compose.yml").write_text(f"# {text}\nservices: {{}}\n", encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", text)
        for tag in tags:
            self.git("tag", "--annotate", "--message", tag, tag)
        return self.git("rev-parse", "HEAD")
