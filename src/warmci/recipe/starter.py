"""A new recipe that is green as it is: a repository with its first release, and the operator's tests beside."""

from __future__ import annotations

import shutil
from pathlib import Path

from warmci.base import fs, names
from warmci.base.errors import InfraError, UsageError
from warmci.recipe.git import git

_SKELETON = Path(__file__).with_name("skeleton")
_PLACE = "@RECIPE@"
FIRST_RELEASE = "0.1.0+1.35.0"
_UNSIGNED = ("-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false")
_NOBODY = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")


def make_recipe(recipe: str, into: Path, recipes_dir: Path) -> tuple[Path, Path]:
    """(the repository into/RECIPE with a tagged first commit, the operator's recipes_dir/RECIPE).

    Both or neither. Raises UsageError where one is there already or cannot be written.
    """
    names.recipe_name(recipe)
    repository, operator = into.resolve() / recipe, recipes_dir.absolute() / recipe
    for path in (repository, operator):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} is there already", hint="another name, or move it away")
    made: list[Path] = []
    try:
        for part, target in (("operator", operator), ("repository", repository)):
            target.parent.mkdir(parents=True, exist_ok=True)
            made.append(target)
            _write(_SKELETON / part, target, recipe)
        _commit(repository)
    except OSError as error:
        _undo(made)
        message = f"{error.filename or repository}: {error.strerror or error}"
        raise UsageError(message, hint="recipes_dir in the settings says where the operator's files go") from error
    except (InfraError, KeyboardInterrupt):
        _undo(made)
        raise
    return repository, operator


def _undo(made: list[Path]) -> None:
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


def _write(source: Path, target: Path, recipe: str) -> None:
    target.mkdir()
    for path in sorted(source.rglob("*")):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        name = path.name.replace("test_recipe", f"test_{recipe.replace('-', '_').replace('.', '_')}")
        copy = target / path.relative_to(source).with_name(name)
        copy.parent.mkdir(exist_ok=True)
        fs.write_atomic(copy, path.read_text(encoding="utf-8").replace(_PLACE, recipe), mode=0o644)


def _commit(repository: Path) -> None:
    git("init", "--quiet", "--initial-branch=main", "--template=", cwd=repository)
    known = git("config", "user.email", cwd=repository, check=False)
    who = () if known else _NOBODY
    git("add", "--all", "--force", cwd=repository)
    git(*_UNSIGNED, *who, "commit", "--quiet", "--message=First release", cwd=repository)
    git(*_UNSIGNED, *who, "tag", "--annotate", f"--message=Release {FIRST_RELEASE}", FIRST_RELEASE, cwd=repository)
