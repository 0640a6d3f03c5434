"""Which commit a run tests, of which repository, and whether it may promote it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base.errors import UsageError
from warmci.recipe import worktree
from warmci.recipe.repository import clone

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.models import Canonical
    from warmci.base.settings import Settings
    from warmci.recipe.repository import Repository
    from warmci.run.context import Request

WORKTREE = "worktree"
"""The ref of a directory that is tested as it is."""


@dataclass(frozen=True)
class Checkout:
    repository: Repository
    ref: str
    head: str
    trusted: bool
    """Whether the default branch contains it, and no pull request or uncommitted change brings it."""
    said: tuple[str, ...] = ()
    """What the result lists as deviations."""

    @property
    def detail(self) -> str:
        return f"{self.ref} is {self.head[:8]}, {self.repository.version_of(self.head)}"


def check_out(settings: Settings, request: Request, work_dir: Path, warn: Callable[[str], None]) -> Checkout:
    """Clone the recipe into work_dir and find the commit. Raises UsageError, UnverifiedError, InfraError."""
    require_consistent(request)
    repository = clone(settings, request.recipe, work_dir, request.source)
    if request.worktree:
        return _as_it_is(repository)
    ref = request.ref or ("" if request.pr and not repository.here else repository.usual_ref())
    head = repository.resolve(ref, request.pr)
    said = repository.passed_over(head)
    if repository.here and not request.ref:
        said += _left_out(repository, head, warn)
    trusted = not request.pr and repository.is_trusted(head)
    return Checkout(repository, ref or f"refs/pull/{request.pr}/head", head, trusted, tuple(said))


def require_consistent(request: Request) -> None:
    if not request.worktree:
        return
    if request.ref or request.pr or request.reseed:
        raise UsageError("--worktree tests what is in the directory: no --ref, --pr or --reseed with it")
    if not request.source.startswith("/"):
        hint = "run_recipe_ci.py ./DIRECTORY --worktree"
        raise UsageError("--worktree wants the recipe's directory, not its name or URL", hint=hint)


def _as_it_is(repository: Repository) -> Checkout:
    source = Path(repository.source)
    parent = repository.resolve(repository.usual_ref())
    head = worktree.commit_as_it_is(repository.path, source, parent)
    changed = worktree.told(worktree.uncommitted(repository.path, source, parent)) if head != parent else "nothing"
    said = (f"the directory as it is, not committed: {changed}; never promoted", *repository.passed_over(head))
    return Checkout(repository, WORKTREE, head, trusted=False, said=said)


def _left_out(repository: Repository, head: str, warn: Callable[[str], None]) -> list[str]:
    if not (changed := worktree.uncommitted(repository.path, Path(repository.source), head)):
        return []
    said = f"not committed, so not tested: {worktree.told(changed)}"
    warn(f"{said}; --worktree tests the directory as it is")
    return [said]


def stranger(canonical: Canonical | None, request: Request, repository: Repository) -> str:
    """Why the canonical is not of the repository that the run tests; empty where it is, or there is none.

    A directory or URL on the command line is no reason to move what another repository of that name has made. By its
    name the recipe is the one that the settings say, wherever that has moved to.
    """
    ours = repository.source
    if canonical is None or canonical.source == ours:
        return ""
    if not request.source and (not canonical.source or repository.contains(canonical.commit)):
        return ""
    return f"the canonical is that of {canonical.source or 'the recipe by its name'}, not of {ours}"
