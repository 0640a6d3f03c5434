"""What a person wants to know of a canonical: whether it is good, what its data has lived through, what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base.errors import InfraError
from warmci.base.models import Ingress
from warmci.base.text import age
from warmci.recipe.sources import to_name
from warmci.report.console import size
from warmci.report.words import counted
from warmci.store import outline, snapshot
from warmci.store.manifest import load_manifest

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from warmci.base.models import Canonical
    from warmci.base.settings import Settings


def facts(settings: Settings, canonical: Canonical, now: datetime) -> list[tuple[str, str]]:
    """(what, value), a line each where there are several; of secrets the names. Reads no data of a large snapshot."""
    recipe, state_dir = canonical.recipe, settings.state_dir
    home = snapshot.snapshot_dir(state_dir, recipe, canonical.snapshot)
    found = [
        ("state", f"{canonical.state}{f': {canonical.reason}' if canonical.reason else ''}"),
        ("version", f"{canonical.version}, commit {canonical.commit}"),
        ("made", f"{canonical.created:%F %T} UTC, {age((now - canonical.created).total_seconds())} ago"),
        ("by run", canonical.run),
        ("lineage", "\n".join(_lineage(canonical))),
        ("last cold", canonical.last_cold or "none since"),
        ("last quick", canonical.last_quick or "none since"),
        ("snapshot", f"{canonical.snapshot}\n{home}"),
        ("volumes", "\n".join(_volumes(state_dir, canonical))),
        ("born at", f"{_url(canonical)}, ingress {canonical.ingress}"),
        ("images", "\n".join(f"{service}: {image}" for service, image in sorted(canonical.images.items()))),
        ("secrets", ", ".join(sorted(canonical.secrets)) or "none"),
        ("source", canonical.source),
        ("next", "\n".join(_next(canonical, to_name(settings, recipe, canonical.source) or recipe))),
    ]
    return [(name, value) for name, value in found if value]


def _lineage(canonical: Canonical) -> list[str]:
    """Oldest first, each under the one that it came from."""
    return [
        f"{'   ' * number}{'└─ ' if number else ''}{past.version}  {past.at:%F %T} UTC, run {past.run}"
        for number, past in enumerate(canonical.lineage)
    ]


def _volumes(state_dir: Path, canonical: Canonical) -> list[str]:
    try:
        known = outline.outline(state_dir, canonical)
        if not known.is_small:
            return [*known.volumes, f"(many files: warmci snapshot show {canonical.recipe} counts them)"]
        manifest = load_manifest(
            snapshot.snapshot_dir(state_dir, canonical.recipe, canonical.snapshot) / "manifest.json"
        )
    except InfraError as error:
        return [error.message]
    return [f"{one.name}: {counted(one.files, 'file')}, {size(one.bytes)}" for one in manifest.summary()]


def _url(canonical: Canonical) -> str:
    if canonical.ingress is Ingress.TRAEFIK:
        return f"https://{canonical.domain}"
    return f"{canonical.scheme}://{canonical.domain}:{canonical.port}"


def _next(canonical: Canonical, word: str) -> list[str]:
    """word: what a run is to be told."""
    recipe = canonical.recipe
    if canonical.state != "good":
        return [f"run_recipe_ci.py {word}  # makes a good one when it is green"]
    return [
        f"warmci canonical open {recipe}  # to look at it, on a throw-away view",
        f"warmci canonical drill {recipe}  # to see that it can be gone back to",
        f"run_recipe_ci.py {word} --ref BRANCH --pr NUMBER --quick  # to test on its data",
    ]
