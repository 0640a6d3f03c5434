"""A recipe for one command alone: its lock, and an interrupted restore settled before anything else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from warmci.base.locks import app_lock
from warmci.store import restore, restore_journal, stack_volumes
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from warmci.base.locks import Holder, Lock
    from warmci.base.settings import Settings
    from warmci.store.restore_journal import RestoreJournal


@contextmanager
def claimed(
    settings: Settings,
    recipe: str,
    holder: Holder,
    *,
    wait_s: float,
    say: Callable[[str], None],
) -> Iterator[Lock]:
    """Hold the recipe's lock. Raises BusyError, or InfraError while an interrupted restore cannot be settled.

    An engine is needed only where there is a restore to settle.
    """

    def waiting(other: Holder | None) -> None:
        say(f"waiting for {other or 'a lock'}")

    with app_lock(settings.state_dir, recipe, holder, wait_s=wait_s, on_wait=waiting) as lock:
        if done := settle(settings, recipe):
            say(done)
        yield lock


def settle(settings: Settings, recipe: str) -> str:
    """Under the recipe's lock: undo or finish an interrupted restore; what was done, or nothing."""
    if restore_journal.load(settings.state_dir, recipe) is None:
        return ""

    def refuse_use(journal: RestoreJournal) -> None:
        stack_volumes.refuse_use(Engine(settings.docker_host), journal)

    return restore.settle(settings.state_dir, recipe, refuse_use)
