"""The one judge of every crash test: what must be true of a state directory at any instant, and after the next command.

I1 canonical.json names a complete snapshot as hashed. I2 there is one at every instant, old or new, never a mix.
I3 nothing incomplete has a name in snapshots/. I4 garbage is never named. I5 a failure leaves the old one as it was.
I6 live volumes that are neither as before nor as restored have a journal. I8 the next command succeeds and leaves no
residue. I9 what was told as done survives a power cut. (I7, nobody writes meanwhile, is the concurrency test's.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, WarmciError
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore
from warmci.store.manifest import load_manifest
from warmci.store.tree import walk

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from warmci.store.tree import Entry

RECIPE = "demo"
NONE = "none"
"""The content of a recipe that has no canonical."""
MARK = "content"
"""Each volume has a file of this name that holds which generation the data is of."""


UNREADABLE = "unreadable"
BEFORE, RESTORED = "as before", "as restored"


@dataclass(frozen=True)
class Before:
    """The canonical before the work, to the byte, and the live volumes before it, entry by entry."""

    content: str
    fingerprint: str
    live: dict[str, list[Entry]]
    pending: bool
    """Whether a restore was half done even then."""


def state_of(world: Path) -> Path:
    return world / "state"


def live_of(world: Path) -> dict[str, Path]:
    """Live volumes as an engine keeps them: each `_data` in a directory of its own."""
    home = world / "live"
    return {path.name: path / "_data" for path in sorted(home.iterdir())} if home.exists() else {}


def before(world: Path) -> Before:
    live = {name: walk(path, read_data=True) for name, path in live_of(world).items()}
    pending = (state_of(world) / RECIPE / "restore.json").exists()
    return Before(content_of(world), fingerprint(world), live, pending)


def fingerprint(world: Path) -> str:
    """Of canonical.json and of the manifest that it names; the data is compared with that manifest by `violations`."""
    state = state_of(world)
    path = state / RECIPE / "canonical.json"
    if not path.exists():
        return NONE
    parts = [path.read_bytes()]
    if content_of(world) != UNREADABLE:
        named = CanonicalStore(state).load(RECIPE)
        assert named
        parts.append((snapshot.snapshot_dir(state, RECIPE, named.snapshot) / "manifest.json").read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def content_of(world: Path) -> str:
    """The generation that the canonical's volumes are of; several are shown as such, and are never right."""
    state = state_of(world)
    try:
        found = CanonicalStore(state).load(RECIPE)
    except InfraError:
        return UNREADABLE
    if found is None:
        return NONE
    volumes = snapshot.snapshot_dir(state, RECIPE, found.snapshot) / "volumes"
    generations = sorted({(path / MARK).read_text(encoding="utf-8") for path in volumes.iterdir()})
    return "+".join(generations) + ("" if found.state == "good" else f", {found.state}")


def live_state(world: Path, was: Before) -> set[str]:
    """Which of BEFORE and RESTORED the live volumes are: none, one, or after a save of them both."""
    state = state_of(world)
    named = CanonicalStore(state).load(RECIPE) if content_of(world) != UNREADABLE else None
    goal = {}
    if named:
        goal = load_manifest(snapshot.snapshot_dir(state, RECIPE, named.snapshot) / "manifest.json").volumes
    entries = {name: walk(path, read_data=True) if path.exists() else [] for name, path in live_of(world).items()}
    restored = bool(entries) and all(name in goal and list(goal[name]) == found for name, found in entries.items())
    return {kind for kind, holds in ((RESTORED, restored), (BEFORE, entries == was.live)) if holds}


def violations(world: Path, was: Before, allowed: Collection[str]) -> list[str]:
    """What is wrong right after a crash, before anything is repaired. allowed: contents that may be the canonical."""
    return _canonical_violations(world, was, allowed) or _live_violations(world, was)


def _canonical_violations(world: Path, was: Before, allowed: Collection[str]) -> list[str]:
    state = state_of(world)
    try:
        content = content_of(world)
        if content not in allowed:
            return [f"I2: the canonical is {content}, not {' or '.join(sorted(allowed))}"]
        if content == NONE:
            return []
        if content == UNREADABLE:
            kept = fingerprint(world) == was.fingerprint
            return _incomplete(state, "") if kept else ["I5: an unreadable canonical.json was changed, not replaced"]
        found = CanonicalStore(state).load(RECIPE)
        assert found
        path = snapshot.snapshot_dir(state, RECIPE, found.snapshot)
        actual = hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest()
        wrong = [] if actual == found.manifest_sha256 else ["I1: the manifest is not the one that was committed"]
        wrong += [f"I1: {line}" for line in snapshot.verify(state, RECIPE, found.snapshot)]
    except (WarmciError, OSError) as error:
        return [f"I1: {error}"]
    return wrong + _incomplete(state, found.snapshot)


def _live_violations(world: Path, was: Before) -> list[str]:
    if not was.live:
        return []
    stand = live_state(world, was)
    journal = (state_of(world) / RECIPE / "restore.json").exists()
    if journal or RESTORED in stand or (BEFORE in stand and not was.pending):
        return []
    return ["I6: live volumes are half done, and no journal tells of it"]


def _incomplete(state: Path, named: str) -> list[str]:
    wrong = []
    for path in _below(state / RECIPE / "snapshots"):
        try:
            load_manifest(path / "manifest.json")
            if path.name != named:
                wrong += [f"I3: {path.name}: {line}" for line in snapshot.verify(state, RECIPE, path.name)]
        except WarmciError as error:
            wrong.append(f"I3: {path.name} has a name but {error}")
    return wrong


def unfaithful(world: Path, was: Before, code: int, goal: str, *, synced: bool) -> list[str]:
    """I5: an error leaves the canonical as it was; success means the goal. code 0 is success, 2 an error in words.

    synced: whether it was no sync that failed. After a failed sync of a directory the new one may stand already; it is
    complete then, and was not told as done.
    """
    if code not in {0, 2}:
        return [f"I5: it ended {code}, with an error that nobody put into words"]
    content = content_of(world)
    if code == 0:
        return [] if content == goal else [f"I5: it said done, and the canonical is of {content}"]
    if content == was.content:
        return (
            [] if fingerprint(world) == was.fingerprint else ["I5: it failed, and the old canonical is not as it was"]
        )
    return ["I5: it failed, and the canonical is the new one"] if synced else []


def residue(world: Path) -> list[str]:
    """I8 and I4: what the next command should have removed."""
    state, wrong = state_of(world), []
    found = CanonicalStore(state).load(RECIPE)
    home = state / RECIPE
    known = {"canonical.json", "snapshots", "staging", "trash"}
    if home.exists():
        names = {path.name.partition(".unreadable-")[0] for path in home.iterdir()}  # kept, as `fsck` says
        wrong += [f"{name} in {RECIPE}/" for name in names - known]
        for part in ("staging", "trash"):
            wrong += [f"{part}/{path.name}" for path in _below(home / part)]
        named = {found.snapshot} if found else set()
        wrong += [f"snapshots/{path.name}" for path in _below(home / "snapshots") if path.name not in named]
        wrong += [str(path.relative_to(state)) for path in home.rglob(".*.tmp")]
    allowed = {RECIPE, ".runs", ".locks", ".instance"}
    wrong += [f"{path.name} in the state directory" for path in state.iterdir() if path.name not in allowed]
    for name, path in live_of(world).items():
        wrong += [f"{other.name} beside volume {name}" for other in path.parent.iterdir() if other != path]
    return [f"I8: residue: {line}" for line in sorted(wrong)]


def _below(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []
