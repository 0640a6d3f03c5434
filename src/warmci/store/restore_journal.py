"""restore.json: what a restore into live volumes is about to do, on disk before it does it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from warmci.base import fs
from warmci.base.errors import InfraError, UsageError
from warmci.base.models import Record
from warmci.base.names import record_id
from warmci.base.state import disk, recipe_home

JOURNAL = "restore.json"


class RestoredVolume(Record):
    name: str
    path: Path
    """The live volume's own directory, `_data`; what is staged and what was replaced lie beside it."""
    live_inode: int
    new_inode: int = 0
    objects: int = 0
    """How many files and directories the staged copy has."""


class RestoreJournal(Record):
    """restore.json."""

    schema_version: Literal[1] = 1
    id: str
    recipe: str
    stack: str
    snapshot: str
    manifest_sha256: str
    phase: Literal["stage", "swap", "done"]
    created: datetime
    volumes: tuple[RestoredVolume, ...]

    def new(self, volume: RestoredVolume) -> Path:
        return volume.path.with_name(f".warmci-{self.id}.new")

    def trash(self, volume: RestoredVolume) -> Path:
        return volume.path.with_name(f".warmci-{self.id}.trash")


def load(state_dir: Path, recipe: str) -> RestoreJournal | None:
    """None only where there is no restore.json. Raises InfraError if unreadable."""
    path = recipe_home(state_dir, recipe) / JOURNAL
    hint = f"see which volumes it names and what they hold; then: mv {path} {path}.bad"
    try:
        found = RestoreJournal.model_validate_json(path.read_bytes())
        if found.recipe != recipe or record_id(found.id) != found.id:
            raise InfraError(f"{path} is that of a restore of {found.recipe}", hint=hint)
    except FileNotFoundError:
        if path.is_symlink():
            raise InfraError(f"{path} is a link to nowhere", hint=hint) from None
        return None
    except UsageError as error:
        raise InfraError(f"{path}: {error.message}", hint=hint) from error
    except ValidationError as error:
        if any(item["loc"] == ("schema_version",) for item in error.errors()):
            newer = "use the WarmCI that wrote it, or a newer one"
            raise InfraError(
                f"a restore of {recipe} was interrupted; {path} is of another version", hint=newer
            ) from error
        raise InfraError(f"a restore of {recipe} was interrupted and {path} is not readable", hint=hint) from error
    except OSError as error:
        raise InfraError(f"{path}: {error.strerror}", hint=hint) from error
    return found


def write(state_dir: Path, journal: RestoreJournal) -> None:
    with disk(f"restore of {journal.recipe}"):
        fs.write_json(state_dir / journal.recipe / JOURNAL, journal.model_dump(mode="json"))


def forget(state_dir: Path, journal: RestoreJournal) -> None:
    (state_dir / journal.recipe / JOURNAL).unlink(missing_ok=True)
    fs.fsync_dir(state_dir / journal.recipe)
