"""The record of images that came to this engine for a run: only such an image may ever be pruned."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from warmci.base.errors import InfraError
from warmci.base.fs import write_json
from warmci.base.models import Record
from warmci.base.state import disk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from warmci.swarm.engine import Engine

_FILE = ".images.json"
_VERSION = 1


class PulledImage(Record):
    """An image that the engine did not have before a run of ours asked for it."""

    id: str
    reference: str
    """As the recipe names it."""
    run: str


def absent(engine: Engine, references: Iterable[str]) -> list[str]:
    return [reference for reference in sorted(set(references)) if not engine.has_image(reference)]


def record(state_dir: Path, engine: Engine, references: Iterable[str], run: str) -> None:
    """Remember those that are there now, and forget those that somebody else has removed.

    Without room for the record it is left out: the image then simply stays.
    """
    with suppress(OSError, InfraError):
        found = [(engine.image_digest(reference), reference) for reference in references]
        new = {image: PulledImage(id=image, reference=named, run=run) for image, named in found if image != named}
        if new:
            with _locked(state_dir):
                there = {str(image["Id"]) for image in engine.images()}
                known = {item.id: item for item in load(state_dir) if item.id in there}
                _write(state_dir, {**new, **known}.values())


def load(state_dir: Path) -> list[PulledImage]:
    """Raises InfraError when the record cannot be read: then nothing in it may be removed."""
    path = state_dir / _FILE
    try:
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict) or value.get("version") != _VERSION:
            raise InfraError(f"{path}: not version {_VERSION}", hint=f"move it away: mv {path} {path}.bad")
        return [PulledImage.model_validate(item) for item in value["images"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise InfraError(f"{path} is not readable: {error}", hint=f"move it away: mv {path} {path}.bad") from error


def forget(state_dir: Path, image: str) -> None:
    """An image that is gone; a record that stays for lack of room does no harm."""
    with suppress(OSError, InfraError), _locked(state_dir):
        _write(state_dir, [item for item in load(state_dir) if item.id != image])


def _write(state_dir: Path, images: Iterable[PulledImage]) -> None:
    listed = [item.model_dump() for item in sorted(images, key=lambda item: item.id)]
    write_json(state_dir / _FILE, {"version": _VERSION, "images": listed})


@contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    with disk("record of images"):
        fd = os.open(state_dir / ".locks" / "images", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
