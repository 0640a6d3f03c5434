"""The demonstration's recipes: package data turned into real git repositories, with their releases and branches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base import fs, process

if TYPE_CHECKING:
    from collections.abc import Callable

_DATA = Path(__file__).with_name("data") / "recipes"
_FIRST_RELEASE_AT = "2026-01-05T10:00:00Z"
_TIMEOUT_S = 60.0
# Read from the user's home even where no configuration is: a global ignore of .env* would thin out a recipe.
_CONFIG = ("-c", "core.excludesFile=/dev/null", "-c", "core.attributesFile=/dev/null")
_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "WarmCI demo",
    "GIT_AUTHOR_EMAIL": "demo@example.org",
    "GIT_AUTHOR_DATE": _FIRST_RELEASE_AT,
    "GIT_COMMITTER_NAME": "WarmCI demo",
    "GIT_COMMITTER_EMAIL": "demo@example.org",
    "GIT_COMMITTER_DATE": _FIRST_RELEASE_AT,
}


def instantiate(target: Path) -> None:
    """Make target/recipes/RECIPE (a git repository each) and target/operator/RECIPE (recipe.toml, tests).

    Commits are the same on every machine. What exists already is left alone: visitors may have changed it.
    Raises CommandError when git fails, InfraError where it is not installed.
    """
    for source in sorted(path for path in _DATA.iterdir() if path.is_dir()):
        _appear(target / "recipes" / source.name, source, _make_repository)
        if (source / "operator").is_dir():
            _appear(target / "operator" / source.name, source / "operator", _copy_tree)


def _appear(path: Path, source: Path, make: Callable[[Path, Path], None]) -> None:
    """Make path complete or not at all, so that its existence means that it is complete."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make(source, staging)
        fs.rename_durable(staging, path)
    finally:
        fs.remove_tree(staging)


def _copy_tree(source: Path, target: Path) -> None:
    """Contents only: package data may be read-only, what is made of it is not."""
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


def _make_repository(source: Path, target: Path) -> None:
    """first/ is the first release, releases/VERSION.patch follow on main, branches/NAME.patch start from its end."""
    _copy_tree(source / "first", target)
    _git(target, "init", "--quiet", "--initial-branch=main", "--template=")
    _git(target, "add", "--all")
    _git(target, "commit", "--quiet", "--message=First release")
    (first,) = (note.name for note in (source / "first" / "release").iterdir())
    _tag(target, first)
    for patch in sorted((source / "releases").glob("*.patch")):
        _apply(target, patch)
        _tag(target, patch.stem)
    for patch in sorted((source / "branches").glob("*.patch")):
        _git(target, "checkout", "--quiet", "-b", patch.stem, "main")
        _apply(target, patch)
    _git(target, "checkout", "--quiet", "main")


def _apply(repository: Path, patch: Path) -> None:
    _git(repository, "am", "--quiet", "--committer-date-is-author-date", str(patch))


def _tag(repository: Path, version: str) -> None:
    _git(repository, "tag", "--annotate", f"--message=Release {version}", version)


def _git(repository: Path, *arguments: str) -> None:
    process.run(["git", *_CONFIG, "-C", str(repository), *arguments], env=_ENV, timeout_s=_TIMEOUT_S)
