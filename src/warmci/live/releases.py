"""Which releases of its recipe live-warm infrastructure may be moved to, and what their notes say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.recipe.repository import Repository, clone, list_releases, wanted_releases

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.settings import Settings
    from warmci.live.infrastructure import Infrastructure
    from warmci.recipe.repository import Release


def candidates(settings: Settings, what: Infrastructure, current: str | None, work_dir: Path) -> list[Release]:
    """Releases on the default branch, oldest first; only the one that the settings name where they do.

    One question to the forge, if the current commit is its newest release; else a clone in work_dir, for tags alone do
    not tell what is merged. Raises UsageError when there is none, InfraError when the forge does not answer.
    """
    tagged = list_releases(settings, what.recipe)
    pinned = what.pinned(settings)
    if tagged and current == tagged[-1].commit and pinned in ("", tagged[-1].version):
        return tagged[-1:]
    work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return wanted_releases(clone(settings, what.recipe, work_dir), pinned)


def release_notes(what: Infrastructure, work_dir: Path, releases: list[Release]) -> dict[str, str]:
    """By version; none where candidates() needed no clone, as nothing is newer then."""
    if not (work_dir / "repository").is_dir():
        return {}
    repository = Repository(what.recipe, work_dir / "repository")
    newest = releases[-1].commit
    return {release.version: repository.release_note(newest, release.version) for release in releases}
