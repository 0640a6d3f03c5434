"""A recipe that lies in a directory of the operator's: what is checked out there, and what is not committed.

Its own git configuration is never in force, nor that of a repository within it: a filter or a monitor that one names
would run here. The clone is asked, with the directory as its work tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base.errors import UnverifiedError, UsageError
from warmci.recipe.git import CLONE_TIMEOUT_S, git, require_small

if TYPE_CHECKING:
    from pathlib import Path

_SHOWN = 5
_AT_ONCE = 200
_MAIN = ("main", "master")
_IDENTITY = ("-c", "user.name=warmci", "-c", "user.email=warmci@localhost", "-c", "commit.gpgSign=false")


def settle(clone: Path, source: Path) -> str:
    """The branch that is checked out in source, or its commit where it is on none; empty where there is no commit.

    A clone takes the branch that is checked out for the default one. Only what the real one contains may be promoted:
    that which the source's own forge has as such, else main or master, else the only one. Where there is none of these,
    the clone has none afterwards.
    """
    branch = git("symbolic-ref", "--quiet", "--short", "HEAD", cwd=source, check=False)
    commit = git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", cwd=source, check=False)
    listed = git("for-each-ref", "--format=%(refname:lstrip=3)", "refs/remotes/origin", cwd=clone).splitlines()
    heads = [name for name in listed if name != "HEAD"]
    upstream = git("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD", cwd=source, check=False)
    wanted = [upstream.removeprefix("refs/remotes/origin/"), *_MAIN, *(heads if len(heads) == 1 else [])]
    default = next((name for name in wanted if name in heads), None)
    if default is None:
        git("symbolic-ref", "--delete", "refs/remotes/origin/HEAD", cwd=clone, check=False)
    else:
        git("symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{default}", cwd=clone)
    return branch if branch in heads else commit


def uncommitted(clone: Path, source: Path, commit: str) -> list[str]:
    """Files of the directory that are not as in the commit; untracked directories as a whole."""
    _read_index(clone, commit)
    asked = ("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all")
    said = git(f"--work-tree={source}", *asked, cwd=clone, timeout_s=CLONE_TIMEOUT_S, check=False)
    return [entry[3:] if entry[2:3] == " " else entry[2:] for entry in said.split("\0") if entry]


def told(changed: list[str]) -> str:
    more = f" and {len(changed) - _SHOWN} more" if changed[_SHOWN:] else ""
    return ", ".join(changed[:_SHOWN]) + more


def is_bare(source: Path) -> bool:
    return git("rev-parse", "--is-bare-repository", cwd=source, check=False) == "true"


def commit_as_it_is(clone: Path, source: Path, parent: str) -> str:
    """A commit, in the clone alone, of the directory as it is, without what .gitignore names; parent where it is clean.

    Raises UsageError where the directory has no work tree.
    """
    if is_bare(source):
        raise UsageError(f"{source} is a bare repository, which has no work tree", hint="leave out --worktree")
    _read_index(clone, parent)
    submodules = _submodules(clone, parent)
    # Of a submodule in the index git asks the repository there whether it is dirty, and that runs its filters.
    _drop(clone, submodules)
    git(f"--work-tree={source}", "add", "--all", cwd=clone, timeout_s=CLONE_TIMEOUT_S)
    _put_back(clone, source, submodules)
    tree = git("write-tree", cwd=clone)
    if tree == git("rev-parse", f"{parent}^{{tree}}", cwd=clone):
        return parent
    return git(*_IDENTITY, "commit-tree", "-p", parent, "-m", "the work tree, not committed", tree, cwd=clone)


def _read_index(clone: Path, commit: str) -> None:
    if not commit:
        raise UnverifiedError("nothing is committed yet", hint="git commit, then tag a release (x.y.z+upstream)")
    git("update-ref", "--no-deref", "HEAD", commit, cwd=clone)
    git("read-tree", commit, cwd=clone)


def _submodules(clone: Path, commit: str) -> dict[str, str]:
    """Path to the commit that is named there. Raises RecipeFailedError where the commit has too many files."""
    require_small(clone, commit)
    entries = git("ls-tree", "-r", "-z", "--full-tree", commit, cwd=clone).split("\0")
    facts = [entry.partition("\t") for entry in entries if entry.startswith("160000 ")]
    return {path: said.split()[2] for said, _, path in facts}


def _drop(clone: Path, submodules: dict[str, str]) -> None:
    for some in _batches(list(submodules)):
        git("update-index", "--force-remove", "--", *some, cwd=clone)


def _put_back(clone: Path, source: Path, submodules: dict[str, str]) -> None:
    """As they are committed, whatever is in them: none is tested. Not where a file or a symlink came in its place."""
    top = source.resolve()
    there = [path for path in submodules if (top / path).is_dir() and (top / path).resolve() == top / path]
    for some in _batches(there):
        entries = [part for path in some for part in ("--cacheinfo", f"160000,{submodules[path]},{path}")]
        git("update-index", "--add", "--replace", *entries, cwd=clone)


def _batches(texts: list[str]) -> list[list[str]]:
    """What a command line can take, however many a stranger has committed."""
    return [texts[at : at + _AT_ONCE] for at in range(0, len(texts), _AT_ONCE)]
