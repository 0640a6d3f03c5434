"""What a command's argument names: a recipe by its name, the directory that it lies in, or its repository's URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from warmci.base import names
from warmci.base.errors import UsageError
from warmci.recipe.git import git
from warmci.recipe.sources import without_login
from warmci.recipe.worktree import is_bare

_WEB = ("https", "http")
_SCHEMES = (*_WEB, "ssh", "git", "file")
# git's short form of ssh: me@host:owner/name.git
_SSH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!/?-)[A-Za-z0-9._/~-]+")
_URL_TEXT = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Named:
    recipe: str
    source: str = ""
    """Where it is cloned from: an absolute path or a URL; empty: wherever the setting recipe_source says."""

    @property
    def is_local(self) -> bool:
        return self.source.startswith("/")

    @property
    def word(self) -> str:
        """What to type to name it again."""
        return self.source or self.recipe


def read_named(argument: str) -> Named:
    """A directory is written with a slash, or as `.` or `..`; everything else without `:` is a name.

    The recipe is called as the directory, or as the last part of the URL. Raises UsageError.
    """
    if "://" in argument:
        return _by_url(argument)
    if _SSH.fullmatch(argument):
        return Named(_last_part(argument.rpartition(":")[2], argument), argument)
    if "/" in argument or argument in {".", ".."}:
        return _by_directory(argument)
    return Named(names.recipe_name(argument))


def _by_url(url: str) -> Named:
    try:
        parts = urlsplit(url)
        login = parts.username if parts.scheme in _WEB else parts.password  # a token may stand as a name
    except ValueError:
        raise UsageError(
            f"not a URL: {names.shown(without_login(url))}", hint="https://HOST/OWNER/RECIPE.git"
        ) from None
    if login is not None:  # it would stand in the process list, in results and in reports
        raise UsageError("a URL with a login in it is not taken", hint="let git's credential helper log in")
    if parts.scheme not in _SCHEMES or not _URL_TEXT.fullmatch(url) or parts.query or parts.fragment:
        message = f"not the URL of a git repository: {names.shown(url)}"
        raise UsageError(message, hint=f"a URL of {', '.join(_SCHEMES)} that ends in the recipe's name")
    return Named(_last_part(parts.path, url), url)


def _last_part(path: str, whole: str) -> str:
    try:
        return names.recipe_name(path.rstrip("/").rpartition("/")[2].removesuffix(".git"))
    except UsageError as error:
        raise UsageError(f"{names.shown(whole)} names no recipe: {error.message}", hint=error.hint) from error


def _by_directory(argument: str) -> Named:
    if "\0" in argument:
        raise UsageError(f"not a directory: {names.shown(argument)}")
    path = Path(argument).expanduser().resolve()
    if not path.is_dir():
        raise UsageError(f"there is no directory {names.shown(str(path))}", hint="a recipe by its name has no slash")
    name = _last_part(str(path), str(path))
    if is_bare(path):
        return Named(name, str(path))
    top = git("rev-parse", "--show-toplevel", cwd=path, check=False)
    if not top:
        raise UsageError(f"{path} is no git repository", hint=f"git init {path}")
    if Path(top) != path:
        raise UsageError(f"{path} is only a part of the repository {top}", hint=f"name that: {top}")
    return Named(name, str(path))
