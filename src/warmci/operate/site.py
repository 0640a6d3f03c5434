"""STATE/.site: one static overview of all recipes, with badges and the newest reports. Nothing secret is in it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, UsageError, WarmciError
from warmci.base.fs import write_atomic
from warmci.base.models import Mode
from warmci.base.names import record_id
from warmci.base.state import disk
from warmci.report import alerts, badge, html, overview, sweep_html
from warmci.report.history import read_result
from warmci.report.overview import Row
from warmci.report.past import by_recipe, read_past
from warmci.report.sweep_record import load_sweeps
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from warmci.base.models import Canonical
    from warmci.base.settings import Settings
    from warmci.report.past import Past

_RUNS = "runs"
_FILE_MODE, _DIR_MODE = 0o644, 0o755


def build(settings: Settings) -> Path:
    """Write all pages anew, each by one rename; the directory. Raises InfraError when the disk takes them not."""
    home, now = settings.site, datetime.now(UTC)
    results = read_past(settings.runs_dir, now)
    known = by_recipe(results)
    rows = [_row(settings, recipe, known[recipe]) for recipe in _recipes(settings, results)]
    sweeps = load_sweeps(settings.state_dir)
    with disk(f"the overview in {home}"):
        _directory(home)
        _directory(home / _RUNS)
        shown = {}
        for result in results:
            name = f"{_RUNS}/{record_id(result.run)}.html"
            if _is_stale(home / name, settings.runs_dir / result.run / "result.json"):
                with suppress(UsageError):  # pruned meanwhile
                    _write(home / name, html.page(read_result(settings.runs_dir, result.run)[1]))
            shown[result.run] = f"./{name}"
        _forget(home / _RUNS, {f"{run}.html" for run in shown})
        for row in rows:
            for mode in (Mode.COLD, Mode.QUICK):
                last = row.last(mode)
                _write(home / f"badge-{row.recipe}-{mode}.svg", badge.svg(mode, last.verdict if last else "unknown"))
        _forget(home, {f"badge-{row.recipe}-{mode}.svg" for row in rows for mode in (Mode.COLD, Mode.QUICK)}, ".svg")
        standing = _alerts(settings)
        _write(home / "index.html", overview.page(rows, shown, sweeps[-1] if sweeps else None, standing, now))
        if sweeps:
            _write(home / "sweep.html", sweep_html.as_html(sweeps[-1], shown))
    return home


def rebuild(settings: Settings, warn: Callable[[str], None]) -> None:
    """After a run or a sweep: an overview that cannot be written takes nothing away from the verdict."""
    try:
        build(settings)
    except (WarmciError, OSError) as error:
        warn(f"warning: the overview is not of now: {error}")


def _recipes(settings: Settings, results: Sequence[Past]) -> list[str]:
    """Enrolled ones first, then what else has a canonical or was tested of late."""
    others = {*CanonicalStore(settings.state_dir).recipes(), *(result.recipe for result in results if result.ran)}
    return [*settings.recipes, *sorted(others - set(settings.recipes))]


def _row(settings: Settings, recipe: str, results: Sequence[Past]) -> Row:
    canonical: Canonical | None = None
    unreadable = False
    try:
        canonical = CanonicalStore(settings.state_dir).load(recipe)
    except InfraError:
        unreadable = True
    return Row(
        recipe=recipe,
        enrolled=recipe in settings.recipes,
        results=tuple(results),
        version=canonical.version if canonical else "",
        state=canonical.state if canonical else "unreadable" if unreadable else "",
        created=canonical.created if canonical else None,
        lineage=tuple(past.version for past in canonical.lineage) if canonical else (),
    )


def _is_stale(page: Path, source: Path) -> bool:
    """A run's page is written once, and again where the run told more; links to it hold while the run is kept."""
    try:
        return page.stat().st_mtime < source.stat().st_mtime
    except OSError:
        return True


def _alerts(settings: Settings) -> list[alerts.Alert]:
    with suppress(InfraError):
        return alerts.standing(settings)
    return []


def _directory(path: Path) -> None:
    """For a web server to read, where state_dir lets one in at all: a setting puts the pages elsewhere."""
    path.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
    path.chmod(_DIR_MODE)


def _write(path: Path, text: str) -> None:
    """Where it says something else than before: most badges do not, and each write waits for the disk."""
    with suppress(OSError, ValueError):
        if path.read_text(encoding="utf-8") == text and stat.S_IMODE(path.lstat().st_mode) == _FILE_MODE:
            os.utime(path)
            return
    write_atomic(path, text, mode=_FILE_MODE)


def _forget(directory: Path, kept: set[str], suffix: str = ".html") -> None:
    for path in directory.iterdir():
        if path.name.endswith(suffix) and path.name not in kept:
            path.unlink(missing_ok=True)
