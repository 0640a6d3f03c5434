"""Figures for Prometheus, in its text format, from the state directory and a glance at the engine."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmci.base.disk import Room, Watermarks
from warmci.base.errors import InfraError, InterruptedRunError, WarmciError
from warmci.base.fs import write_atomic
from warmci.base.locks import held
from warmci.base.text import line
from warmci.report import alerts, sweep_record
from warmci.report.history import read_results
from warmci.store.canonical import CanonicalStore
from warmci.swarm import addresses
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.settings import Settings


_ENGINE_S = 5.0
_UP = "1 when the engine answers."


@dataclass
class _Family:
    kind: str
    help: str
    samples: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)


class _Page:
    """Families in the order of their first sample, each with its help and type once."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}

    def gauge(self, name: str, text: str, value: float, **labels: str) -> None:
        family = self._families.setdefault(f"warmci_{name}", _Family("gauge", text))
        family.samples[tuple(sorted(labels.items()))] = value

    def __str__(self) -> str:
        lines = []
        for name, family in self._families.items():
            lines += [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}"]
            for labels, value in family.samples.items():
                inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
                lines.append(f"{name}{f'{{{inner}}}' if inner else ''} {_number(value)}")
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return line(text).replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))


def as_text(settings: Settings) -> str:
    """Everything; a part that cannot be read is missing, and warmci_unreadable says that there is one."""
    page = _Page()
    parts: list[Callable[[Settings, _Page], None]] = [_canonicals, _runs, _locks, _disk, _sweep, _alerts, _engine]
    unreadable = 0
    for part in parts:
        try:
            part(settings, page)
        except InterruptedRunError:
            raise
        except (WarmciError, OSError):
            unreadable += 1
    page.gauge("unreadable", "Parts of the state directory that could not be read.", unreadable)
    return str(page)


def write(settings: Settings, say: Callable[[str], None]) -> None:
    """Replace metrics_file, if there is one, by one rename; a file that cannot be written is a warning."""
    if settings.metrics_file is None:
        return
    try:
        # node_exporter is another user; recipes, versions and figures are no secrets.
        write_atomic(settings.metrics_file, as_text(settings), mode=0o644)
    except OSError as error:
        say(f"warning: {settings.metrics_file} is not written: {error.strerror or error}")


def _canonicals(settings: Settings, page: _Page) -> None:
    store = CanonicalStore(settings.state_dir)
    for recipe in store.recipes():
        try:
            canonical = store.load(recipe)
        except WarmciError:
            canonical = None
        good = canonical is not None and canonical.state == "good"
        page.gauge("canonical_good", "1 when quick may use it, 0 when it is dirty or unreadable.", good, recipe=recipe)
        if canonical is None:
            continue
        created = canonical.created.timestamp()
        page.gauge("canonical_created_timestamp_seconds", "When the canonical was last moved.", created, recipe=recipe)
        steps = len(canonical.lineage)
        page.gauge("canonical_lineage", "Versions that its data has lived through.", steps, recipe=recipe)
        version = canonical.version
        page.gauge("canonical_info", "The canonical's version.", 1, recipe=recipe, version=version)


def _runs(settings: Settings, page: _Page) -> None:
    counts: Counter[tuple[str, str, str]] = Counter()
    for result in read_results(settings.runs_dir):
        mode = str(result.ran or result.requested)
        counts[result.recipe, mode, str(result.verdict)] += 1
        named = {"recipe": result.recipe, "mode": mode}
        begun = result.started.timestamp()
        page.gauge("last_run_timestamp_seconds", "When the last run of this mode began.", begun, **named)
        page.gauge("last_run_exit_code", "Its exit code: 0 is a pass, 1 a red recipe.", result.exit_code, **named)
        page.gauge("last_run_seconds", "How long it took.", result.seconds, **named)
    for (recipe, mode, verdict), count in sorted(counts.items()):
        text = "Runs whose results are kept (setting keep_runs)."
        page.gauge("runs_kept", text, count, recipe=recipe, mode=mode, verdict=verdict)


def _locks(settings: Settings, page: _Page) -> None:
    names = list(held(settings.state_dir))
    page.gauge("slots", "Runs that may be under way at once.", settings.max_tests)
    page.gauge("slots_held", "Slots in use.", sum(name.startswith("slot-") for name in names))
    page.gauge("recipes_locked", "Recipes that somebody works on.", sum(name.startswith("app-") for name in names))


def _disk(settings: Settings, page: _Page) -> None:
    room, marks = Room.of(settings.state_dir), Watermarks.of(settings)
    page.gauge("disk_free_bytes", "Free in the state directory's file system.", room.free)
    page.gauge("disk_low_bytes", "Below this a run prunes first, or is refused.", marks.low)
    if room.free_inodes is not None:
        page.gauge("disk_free_inodes", "Free inodes there.", room.free_inodes)
    page.gauge("disk_low", "1 when the disk is below a low mark.", marks.is_low(room))


def _sweep(settings: Settings, page: _Page) -> None:
    ended = [sweep for sweep in sweep_record.load_sweeps(settings.state_dir) if sweep.finished is not None]
    if not ended or ended[-1].finished is None:
        return
    last = ended[-1]
    finished = ended[-1].finished.timestamp()
    page.gauge("last_sweep_timestamp_seconds", "When the last sweep came to its end.", finished)
    page.gauge("last_sweep_exit_code", "Its exit code: 0 is green.", 70 if last.exit_code is None else last.exit_code)
    for state, count in sorted(Counter(item.state for item in last.items).items()):
        page.gauge("last_sweep_recipes", "Its recipes by what became of them.", count, state=state)
    page.gauge("last_sweep_stale_recipes", "Recipes not promoted for too long.", len(last.stale))


def _alerts(settings: Settings, page: _Page) -> None:
    page.gauge("alerts", "Alerts that stand.", len(alerts.standing(settings)))


def _engine(settings: Settings, page: _Page) -> None:
    """An engine that does not answer is a figure, too."""
    found: list[addresses.Usage] = []
    try:
        with closing(Engine(settings.docker_host, timeout_s=_ENGINE_S)) as engine:
            found = addresses.shared_usage(engine)
    except InfraError:
        page.gauge("engine_up", _UP, 0)
    else:
        page.gauge("engine_up", _UP, 1)
    for usage in found:
        named = {"network": usage.network}
        page.gauge("network_addresses", "IPv4 addresses that a network shared by apps has.", usage.size, **named)
        text = "Those in use; exact is 0 where the engine does not say and lost ones are not seen."
        page.gauge("network_addresses_used", text, usage.taken, **named, exact=str(int(usage.exact)))
