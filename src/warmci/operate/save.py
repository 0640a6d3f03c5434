"""`warmci snapshot save`: the data of an app that somebody else deployed, and undeployed, becomes the canonical."""

from __future__ import annotations

import stat
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from warmci.base import names
from warmci.base.errors import InfraError, UsageError
from warmci.base.locks import Holder
from warmci.base.models import Record, VolumeSummary
from warmci.base.run_locks import run_lock
from warmci.base.state import open_state
from warmci.live.ingress import choose
from warmci.operate.deployed_app import describe
from warmci.store import snapshot, stack_volumes
from warmci.store.canonical import CanonicalStore
from warmci.store.copying import bytes_of
from warmci.store.recipe_lock import claimed
from warmci.store.scan import marks, unchangeable
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from warmci.base.models import Canonical
    from warmci.base.settings import Settings
    from warmci.operate.deployed_app import SaveRequest
    from warmci.report.console import Console
    from warmci.store.scan import Mark
    from warmci.store.tree import Progress


class SavePlan(Record):
    """What a save will do."""

    recipe: str
    stack: str
    domain: str
    commit: str
    version: str
    volumes: tuple[VolumeSummary, ...]
    secrets: tuple[str, ...]
    replaces: str = ""
    """The snapshot that is thrown away afterwards."""
    notes: tuple[str, ...] = ()


def save_app(
    settings: Settings, console: Console, request: SaveRequest, agree: Callable[[SavePlan], bool]
) -> Canonical | None:
    """Plan, ask, save; None when agree says no."""
    engine = Engine(settings.docker_host)
    state = open_state(settings.state_dir)
    store = CanonicalStore(state.dir)
    run = names.new_id()
    holder = Holder.here(run, request.recipe, "snapshot save")
    with ExitStack() as held:
        lock = held.enter_context(
            claimed(settings, request.recipe, holder, wait_s=settings.lock_wait_s, say=console.say)
        )
        held.enter_context(run_lock(settings.runs_dir / run))
        held.callback(snapshot.remove, settings.runs_dir / run)
        try:
            warnings = store.collect_garbage(request.recipe)
        except InfraError as error:
            warnings = [f"{error.message}; nothing is thrown away"]
        before = store.load(request.recipe)
        chosen = choose(settings, engine, state.instance)
        entry, rendered = describe(settings, request, before, run, state.instance, chosen)
        _refuse_domain(settings, store, entry)
        stack = request.stack or names.stack_name(entry.domain)
        real = {
            name: stack + own.removeprefix(names.stack_name(entry.domain)) for name, own in rendered.volumes.items()
        }
        sources, notes = _sources(engine, stack, real, force=request.force)

        def refuse_use() -> None:
            stack_volumes.refuse_deployed(engine, stack, [real[name] for name in sources], list(sources.values()))

        refuse_use()
        seen = {name: marks(path) for name, path in sources.items()}
        refuse_unchangeable(sources)
        notes += refuse_shrunk(state.dir, before, seen, force=request.force)
        if not request.force and not any(volume.files for volume in _summary(seen)):
            raise UsageError(f"the volumes of {stack} hold no file", hint="--force, if it is meant")
        plan = SavePlan(
            recipe=request.recipe,
            stack=stack,
            domain=entry.domain,
            commit=entry.commit,
            version=entry.version,
            volumes=_summary(seen),
            secrets=tuple(sorted(entry.secrets)),
            replaces=before.snapshot if before else "",
            notes=tuple(notes),
        )
        if not agree(plan):
            return None
        refuse_use()
        with console.bar(f"saving {stack}", sum(bytes_of(tree.values()) for tree in seen.values())) as advance:
            made, more = save_volumes(
                store, entry, sources, seen, refuse_use, force=request.force, pass_fds=[lock.fd], progress=advance
            )
        for warning in (*warnings, *more):
            console.say(f"warning: {warning}", style="yellow")
        return made


def _refuse_domain(settings: Settings, store: CanonicalStore, entry: Canonical) -> None:
    """A canonical lives at its domain: where another app lives, runs of one would take down the other."""
    taken = {names.live_domain(settings.base_domain): "the live Keycloak"}
    for recipe in {*store.homes(), *settings.recipes} - {entry.recipe}:
        taken[names.canonical_domain(recipe, settings.base_domain)] = recipe
        with suppress(InfraError):  # of one that cannot be read, the usual domain is known
            other = store.load(recipe)
            taken |= {other.domain: recipe} if other else {}
    if owner := taken.get(entry.domain):
        raise UsageError(f"{entry.domain} is the domain of {owner}", hint="--domain names that of your own app")


def save_volumes(
    store: CanonicalStore,
    entry: Canonical,
    sources: Mapping[str, Path],
    before: Mapping[str, Mapping[str, Mark]],
    refuse_use: Callable[[], None],
    *,
    force: bool = False,
    pass_fds: Sequence[int] = (),
    progress: Progress | None = None,
) -> tuple[Canonical, list[str]]:
    """Copy, prove, name, commit; (the canonical as committed, warnings). The caller holds the recipe's lock.

    entry: the canonical but for its snapshot, whose id is entry.run. Raises with the old canonical in place.
    """
    staging = snapshot.stage(store.dir, entry.recipe, entry.run, run=entry.run)
    try:
        manifest = snapshot.save_volumes(
            staging, sources, before, allow_empty=force, pass_fds=pass_fds, progress=progress, refuse_use=refuse_use
        )
    except BaseException:
        snapshot.remove(staging)
        raise
    made = entry.model_copy(update={"snapshot": manifest.id, "manifest_sha256": manifest.sha256})
    return made, store.commit(made)


# --- what is saved


def _sources(engine: Engine, stack: str, real: Mapping[str, str], *, force: bool) -> tuple[dict[str, Path], list[str]]:
    """Volume as the recipe calls it to its directory, and what is not as one would expect."""
    there = stack_volumes.find_volumes(engine, stack)
    missing = sorted(name for name, own in real.items() if own not in there)
    strange = sorted(there.keys() - set(real.values()))
    if len(missing) == len(real) or (missing and not force):
        wanted = real[missing[0]] if missing else f"{stack}_…"
        raise UsageError(
            f"the engine has no volume {wanted}: was the app deployed as {stack}?",
            hint="name its domain with --domain, or its stack with --stack",
        )
    sources = {name: stack_volumes.data_dir(engine, there[own]) for name, own in real.items() if own in there}
    notes = [f"volume {real[name]} does not exist and is left out" for name in missing]
    return sources, notes + [f"volume {own} is not of this version and is left out" for own in strange]


def refuse_unchangeable(sources: Mapping[str, Path]) -> None:
    """Immutable and append-only files cannot be kept: a copy would lose the flag without a word."""
    for name, source in sources.items():
        fixed = unchangeable(source)
        if fixed is not None:
            raise InfraError(
                f"volume {name}: {fixed} is immutable or append-only, which a snapshot does not keep",
                hint=f"chattr -R -i -a {source}",
            )


def refuse_shrunk(
    state_dir: Path, before: Canonical | None, seen: Mapping[str, Mapping[str, Mark]], *, force: bool
) -> list[str]:
    """Raise UsageError where a volume lost nine tenths since its last snapshot; with force, only say so."""
    if before is None:
        return []
    try:
        was = snapshot.load_committed(state_dir, before).summary()
    except InfraError as error:
        return [f"the snapshot in place cannot be compared with: {error.message}"]
    lost = snapshot.shrunk(was, _summary(seen))
    if lost and not force:
        raise UsageError(f"{lost[0]}: that is no use, that is a loss", hint="--force, if it is meant")
    return lost


def _summary(seen: Mapping[str, Mapping[str, Mark]]) -> tuple[VolumeSummary, ...]:
    return tuple(
        VolumeSummary(
            name=name,
            files=sum(not stat.S_ISDIR(mark.mode) for mark in tree.values()),
            bytes=sum(mark.size for mark in tree.values()),
        )
        for name, tree in sorted(seen.items())
    )
