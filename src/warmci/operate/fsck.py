"""What is wrong in the registry and what can be done about it: found first, shown, then repaired.

Unreadable is never taken for absent, and nothing is deleted that is not accounted for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from warmci.base.errors import InfraError, UsageError
from warmci.base.models import Record
from warmci.store import restore_journal
from warmci.store.canonical import VERSION
from warmci.store.manifest import load_manifest
from warmci.store.snapshot import snapshot_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.models import Canonical
    from warmci.store.canonical import CanonicalStore


_FIRST = ("restore", "unreadable")


class Problem(Record):
    """Something wrong with one recipe's part of the registry."""

    recipe: str
    kind: Literal["restore", "unreadable", "damaged", "dirty", "stray", "garbage"]
    what: str
    remedy: str = ""
    """What a repair does; empty where nothing can be done without losing data that nobody has accounted for."""
    hint: str = ""
    snapshot: str = ""
    """Of an unreadable canonical: the snapshot whose entry takes its place."""
    repaired: bool = False

    @property
    def is_over(self) -> bool:
        """Repaired, and the canonical can be used again."""
        return self.repaired and self.kind != "damaged"


def examine(store: CanonicalStore, recipe: str, *, read_data: bool = False) -> list[Problem]:
    """Problems of one recipe, in the order in which they are repaired. Reads only."""
    found = [*_restore(store, recipe), *_unreadable(store, recipe)]
    if any(problem.kind == "unreadable" for problem in found):
        return found
    canonical = store.load(recipe)
    if canonical is not None:
        found += _canonical(store, canonical, read_data=read_data)
    return found + _leftovers(store, recipe, canonical)


def repair_all(
    store: CanonicalStore, recipe: str, settle: Callable[[], str], *, read_data: bool = False
) -> list[Problem]:
    """Examine and repair one recipe, under its lock; says what came of each problem.

    What a restore and an unreadable canonical stand in the way of is known only when they are put right.
    """
    done = [repair(store, problem, settle) for problem in _restore(store, recipe)]
    done += [repair(store, problem, settle) for problem in _unreadable(store, recipe)]
    rest = examine(store, recipe, read_data=read_data)
    return done + [repair(store, problem, settle) for problem in rest if problem.kind not in _FIRST]


def repair(store: CanonicalStore, problem: Problem, settle: Callable[[], str]) -> Problem:
    """Do what the remedy says, under the recipe's lock; says what came of it."""
    if not problem.remedy:
        return problem
    try:
        said = _repair(store, problem, settle)
    except (InfraError, UsageError) as error:
        return problem.model_copy(update={"what": f"{problem.what}; {error.message}", "hint": error.hint or ""})
    return problem.model_copy(update={"repaired": True, "remedy": said or problem.remedy})


def _repair(store: CanonicalStore, problem: Problem, settle: Callable[[], str]) -> str:
    if problem.kind == "restore":
        return settle()
    if problem.kind == "unreadable":
        entry = store.entry_of(problem.recipe, problem.snapshot)
        if entry is None:
            raise InfraError(f"snapshot {problem.snapshot} has no entry any more")
        return f"{problem.remedy}; the unreadable one is kept as {store.rebuild(entry).name}"
    if problem.kind == "damaged":
        store.mark_dirty(problem.recipe, problem.what)
    elif warnings := store.collect_garbage(problem.recipe):
        raise InfraError("; ".join(warnings))
    return ""


def _restore(store: CanonicalStore, recipe: str) -> list[Problem]:
    try:
        journal = restore_journal.load(store.dir, recipe)
    except InfraError as error:
        return [Problem(recipe=recipe, kind="restore", what=error.message, hint=error.hint or "")]
    if journal is None:
        return []
    what = f"a restore into {journal.stack} was interrupted (phase {journal.phase})"
    remedy = "undo it" if journal.phase == "stage" else "carry it through"
    return [Problem(recipe=recipe, kind="restore", what=what, remedy=remedy)]


def _unreadable(store: CanonicalStore, recipe: str) -> list[Problem]:
    try:
        store.load(recipe)
    except InfraError as error:
        what = error.message
        if isinstance(error.__cause__, OSError):  # what cannot be read now may be whole
            return [Problem(recipe=recipe, kind="unreadable", what=what, hint="warmci doctor")]
    else:
        return []
    if _is_newer(store, recipe):
        hint = "use the WarmCI that wrote it, or a newer one"
        return [Problem(recipe=recipe, kind="unreadable", what=what, hint=hint)]
    for name in _by_likelihood(store, recipe):
        entry = store.entry_of(recipe, name)
        if entry is not None and not store.damage(entry, read_data=True):
            remedy = f"rebuild it from snapshot {name}, whose data is as saved"
            return [Problem(recipe=recipe, kind="unreadable", what=what, remedy=remedy, snapshot=name)]
    hint = f"put a copy of it back; or, to start afresh: warmci canonical remove {recipe}"
    return [Problem(recipe=recipe, kind="unreadable", what=f"{what}, and no snapshot can stand for it", hint=hint)]


def strange(store: CanonicalStore) -> list[Problem]:
    """What lies among the recipes and is none of them; nobody's business but the operator's."""
    return [
        Problem(
            recipe=path.name, kind="stray", what=f"{path} is neither a recipe's nor a snapshot", hint=f"ls -ld {path}"
        )
        for path in store.strange()
    ]


def _by_likelihood(store: CanonicalStore, recipe: str) -> list[str]:
    """Snapshots that may be the canonical's: first the one whose id can still be read in the file, then the newest."""
    try:
        there = (store.dir / recipe / "canonical.json").read_bytes()
    except OSError:
        there = b""
    return sorted(store.snapshots(recipe), key=lambda name: (name.encode() in there, name), reverse=True)


def _is_newer(store: CanonicalStore, recipe: str) -> bool:
    try:
        value = json.loads((store.dir / recipe / "canonical.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    version = value.get("schema_version") if isinstance(value, dict) else None
    return type(version) is int and version > VERSION


def _canonical(store: CanonicalStore, canonical: Canonical, *, read_data: bool) -> list[Problem]:
    recipe, hint = canonical.recipe, f"warmci canonical seed {canonical.recipe}"
    if canonical.state != "good":
        return [Problem(recipe=recipe, kind="dirty", what=f"the canonical is dirty: {canonical.reason}", hint=hint)]
    wrong = store.damage(canonical, read_data=read_data)
    if not wrong:
        return []
    what = f"snapshot {canonical.snapshot} is damaged in {len(wrong)} places: {wrong[0]}"
    return [Problem(recipe=recipe, kind="damaged", what=what, remedy="mark the canonical dirty", hint=hint)]


def _leftovers(store: CanonicalStore, recipe: str, canonical: Canonical | None) -> list[Problem]:
    strays = []
    for name in store.snapshots(recipe):
        try:
            load_manifest(snapshot_dir(store.dir, recipe, name) / "manifest.json")
        except InfraError as error:
            if canonical is None or canonical.snapshot != name:
                hint = f"warmci snapshot remove {recipe} {name}"
                strays.append(Problem(recipe=recipe, kind="stray", what=error.message, hint=hint))
    try:
        garbage = store.garbage(recipe)
    except InfraError:
        return strays  # of a manifest that is told of already
    if strays or not garbage:
        return strays
    what = f"left behind: {', '.join(f'{path.parent.name}/{path.name}' for path in garbage)}"
    return [Problem(recipe=recipe, kind="garbage", what=what, remedy="remove what is left behind")]
