"""What would come of a green cold run: decided before it begins, and told by --plan in the same words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from warmci.report.history import CANONICAL_IS_HEAD
from warmci.run import quick
from warmci.run.checkout import stranger

if TYPE_CHECKING:
    from warmci.base.models import Canonical, Ingress
    from warmci.recipe.repository import Repository
    from warmci.run.context import Request
    from warmci.store.canonical import CanonicalStore


Action = Literal["none", "seed", "advance"]
"""The promotion that follows a green cold run."""


@dataclass(frozen=True)
class Prospect:
    action: Action
    reason: str = ""
    """Why nothing is promoted, or why the canonical that there is is made anew."""
    hint: str = ""
    """What an operator may do about it, where that is not plain."""


def as_found(store: CanonicalStore, recipe: str) -> Canonical | None:
    """The canonical; one whose snapshot is not the one that was committed counts as dirty. Nothing is written."""
    canonical = store.load(recipe)
    if canonical is None or canonical.state != "good" or not (wrong := store.damage(canonical)):
        return canonical
    if (now := store.load(recipe)) != canonical:  # whoever has no lock sees how another run replaces it
        return now
    return canonical.model_copy(update={"state": "dirty", "reason": wrong[0]})


def prospect(
    canonical: Canonical | None,
    request: Request,
    repository: Repository,
    head: str,
    *,
    trusted: bool,
    kind: Ingress,
    scheme: str,
) -> Prospect:
    """kind, scheme: where the run's apps are, which is where a canonical's data is born."""
    if unfit := _unfit(request, trusted=trusted):
        return Prospect("none", unfit)
    if canonical is None or request.reseed:
        return Prospect("seed")
    foreign = stranger(canonical, request, repository)
    if request.source and foreign:
        return Prospect("none", foreign, "--reseed replaces it")
    moved = quick.born_elsewhere(canonical, kind, scheme) or foreign
    if anew := moved or ("" if canonical.state == "good" else f"the canonical is {canonical.state}"):
        return Prospect("seed", anew)
    return _step(canonical, repository, head)


def _step(canonical: Canonical, repository: Repository, head: str) -> Prospect:
    if canonical.commit == head:
        return Prospect("none", CANONICAL_IS_HEAD)
    if repository.descends(head, canonical.commit):
        return Prospect("advance")
    reason = f"the canonical {canonical.version} is not part of the head's history: it is never moved back"
    return Prospect("none", reason, "--reseed starts afresh")


def _unfit(request: Request, *, trusted: bool) -> str:
    """Why the run's data can become no canonical's, whatever its verdict."""
    if not trusted:
        return "not committed" if request.worktree else "not trusted code"
    return "its app is kept for people to play with (--keep)" if request.keep == "always" else ""
