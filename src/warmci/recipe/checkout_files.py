"""Files that a recipe names: inside the checkout, links followed, regular, and of a size that a text may have."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISREG

from warmci.base.errors import RecipeFailedError

FILE_MAX = 4 * 2**20
"""Bytes of any file that a recipe names; Swarm's own limit for a config is a quarter of it."""
MAX_BYTES = 512 * 1024
"""Of a file that is read while a recipe is loaded; a hundred times what recipes have."""


def inside(root: Path, name: str, *, what: str, hint: str = "name files of the recipe only") -> Path:
    """The real path of a regular file named relative to root. Raises RecipeFailedError that begins with `what`."""
    if "\0" in name:
        raise RecipeFailedError(f"{what}: a file name holds a NUL byte")
    try:
        real = Path(root, name).resolve()
        if root.resolve() not in real.parents:
            raise RecipeFailedError(f"{what}: {name} lies outside the recipe", hint=hint)
        status = real.stat()
    except FileNotFoundError:
        raise RecipeFailedError(f"{what}: {name} does not exist", hint=hint) from None
    except (OSError, RuntimeError) as error:  # a name that is too long, a loop of links
        reason = getattr(error, "strerror", None) or "its links go in a circle"
        raise RecipeFailedError(f"{what}: {name[:80]}: {reason}", hint=hint) from None
    if not S_ISREG(status.st_mode):
        raise RecipeFailedError(f"{what}: {name} is no regular file", hint=hint)
    if status.st_size > FILE_MAX:
        raise RecipeFailedError(f"{what}: {name} has {status.st_size} bytes, {FILE_MAX} are read at most")
    return real


def content(path: Path, *, what: str) -> bytes:
    """What is in a file that inside() let through, if it is not too much."""
    with path.open("rb") as file:
        found = file.read(MAX_BYTES + 1)
    if len(found) > MAX_BYTES:
        raise RecipeFailedError(f"{what}: {path.name} is larger than {MAX_BYTES // 1024} KiB")
    return found


def text(path: Path, *, what: str) -> str:
    """The same as text in UTF-8."""
    try:
        return content(path, what=what).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeFailedError(f"{what}: {path.name} is not UTF-8 at byte {error.start}") from None
