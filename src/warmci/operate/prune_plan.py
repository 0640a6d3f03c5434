"""What may be thrown away, and why; looks only. In the order in which it is worth it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from warmci.base import disk
from warmci.base.errors import InfraError, WarmciError
from warmci.base.models import Record, Verdict
from warmci.base.run_locks import dead_runs
from warmci.base.state import disk as checked
from warmci.swarm import pulled

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.settings import Settings
    from warmci.store.canonical import CanonicalStore
    from warmci.swarm.engine import Engine

Kind = Literal["trash", "staging", "work", "snapshot", "run", "sweep", "image"]
_KINDS: dict[str, Kind] = {"trash": "trash", "staging": "staging", "snapshots": "snapshot"}
_ORDER: list[Kind] = ["trash", "staging", "work", "snapshot", "run", "sweep", "image"]
_REASONS: dict[Kind, str] = {
    "trash": "thrown away already",
    "staging": "its run is dead",
    "work": "checkout and data of a dead run",
    "snapshot": "no canonical names it",
    "run": "older than the runs that are kept",
    "sweep": "older than the sweeps that are kept",
    "image": "pulled for a run, pinned by no canonical, used by nothing",
}


class Item(Record):
    kind: Kind
    name: str
    """A path below the state directory, or an image's id."""
    recipe: str = ""
    bytes: int = 0
    inodes: int = 0
    reason: str


@dataclass(frozen=True)
class Plan:
    items: tuple[Item, ...]
    left: tuple[str, ...] = field(default=())
    """What was not even looked at, and why."""


def make_plan(settings: Settings, store: CanonicalStore, engine: Engine | None, *, images: bool) -> Plan:
    """Everything prunable now. images: also images that runs pulled, which costs the next run a pull."""
    left: list[str] = []
    home = settings.state_dir.resolve()
    with checked("what can be pruned"):
        found = [*_garbage(home, store, left), *_runs(settings), *_sweeps(settings)]
        found.sort(key=lambda item: _ORDER.index(item.kind))
        measured = disk.sizes([home / item.name for item in found])
    sized = [_sized(item, measured[home / item.name]) for item in found]
    if images and engine is not None:
        sized += _images(settings, store, engine, left)
    return Plan(tuple(sized), tuple(left))


def _sized(item: Item, size: disk.Size) -> Item:
    return item.model_copy(update={"bytes": size.bytes, "inodes": size.inodes})


def _item(kind: Kind, name: str, recipe: str = "") -> Item:
    return Item(kind=kind, name=name, recipe=recipe, reason=_REASONS[kind])


def _garbage(state_dir: Path, store: CanonicalStore, left: list[str]) -> list[Item]:
    found = []
    for recipe in store.homes():
        try:
            paths = store.garbage(recipe)
        except WarmciError as error:
            left.append(f"{recipe}: {error.message}")
            continue
        for path in paths:
            kind = _KINDS.get(path.parent.name, "trash") if path.parent.parent.name == recipe else "trash"
            found.append(_item(kind, str(path.relative_to(state_dir)), recipe))
    return found


def _runs(settings: Settings) -> list[Item]:
    """Work of dead runs, and finished runs beyond keep_runs of their kind, oldest first."""
    found, finished = [], defaultdict(list)
    for run in dead_runs(settings.state_dir):
        home = settings.runs_dir / run
        kind = kind_of(home)
        if (home / "work").exists():
            found.append(_item("work", f".runs/{run}/work", kind[0]))
        else:
            finished[kind].append(run)
    old = [(run, kind[0]) for kind, runs in finished.items() for run in runs[: -settings.keep_runs]]
    return found + [_item("run", f".runs/{run}", recipe) for run, recipe in sorted(old)]


def _sweeps(settings: Settings) -> list[Item]:
    ended = sorted(path.name for path in (settings.state_dir / ".sweeps").glob("[0-9]*"))
    return [_item("sweep", f".sweeps/{sweep}") for sweep in ended[: -settings.keep_runs]]


def kind_of(run_dir: Path) -> tuple[str, str, bool]:
    """Recipe, mode and whether for a pull request: many runs of one kind must not push out the few of another.

    Empty where the run was killed before it could say, and for every mistake in what was asked for: misspelt names are
    many, and each would keep runs of its own.
    """
    try:
        value = json.loads((run_dir / "result.json").read_bytes())
        if value["verdict"] == Verdict.USAGE:
            return "", "", False
        return str(value["recipe"]), str(value["ran"] or value["requested"]), bool(value["pr"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", "", False


def _images(settings: Settings, store: CanonicalStore, engine: Engine, left: list[str]) -> list[Item]:
    try:
        known = {item.id: item for item in pulled.load(settings.state_dir)}
        kept = pinned(store)
        used = in_use(engine)
    except WarmciError as error:
        left.append(f"images: {error.message}")
        return []
    found = []
    for image in engine.images():
        ours = known.get(str(image["Id"]))
        if ours is not None and ours.id not in kept | used and is_only_ours(engine, image, ours):
            item = _item("image", ours.id)
            reason = f"{ours.reference}: {item.reason}"
            found.append(item.model_copy(update={"bytes": int(image["Size"]), "reason": reason}))
    return sorted(found, key=lambda item: (-item.bytes, item.name))


def pinned(store: CanonicalStore) -> set[str]:
    """Image ids of every canonical. Raises InfraError when one cannot be read: its images are then not known."""
    kept: set[str] = set()
    for recipe in store.recipes():
        canonical = store.load(recipe)
        if canonical is None:
            raise InfraError(f"the canonical of {recipe} vanished while it was read", hint="warmci prune")
        kept |= set(canonical.images.values())
    return kept


def in_use(engine: Engine) -> set[str]:
    """Image ids of all containers, stopped ones too, and of all services, anybody's."""
    used = {str(container["ImageID"]) for container in engine.containers()}
    specs = [service["Spec"]["TaskTemplate"].get("ContainerSpec") or {} for service in engine.services()]
    return used | {engine.image_digest(str(spec["Image"])) for spec in specs if spec.get("Image")}


def is_only_ours(engine: Engine, image: dict[str, Any], ours: pulled.PulledImage) -> bool:
    """Whether it has no name but the one that a run asked for: another one is somebody else's interest in it."""
    tags = [tag for tag in image.get("RepoTags") or [] if tag != "<none>:<none>"]
    return not tags or (len(tags) == 1 and engine.image_digest(ours.reference) == ours.id)
