"""How live-warm infrastructure is kept at the newest release that needs no person: the same for each kind of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmci.base.errors import BusyError, InfraError, InterruptedRunError, UsageError, WarmciError
from warmci.live import lock
from warmci.live import plan as live_plan
from warmci.live.plan import Action, Known, Plan
from warmci.live.releases import candidates, release_notes
from warmci.report import alerts
from warmci.store import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from warmci.base.settings import Settings
    from warmci.live.infrastructure import Infrastructure
    from warmci.report.console import Console


@dataclass(frozen=True)
class Converged:
    """What a reconcile did; `reason` says why where it is not what was wanted."""

    action: Action
    version: str
    url: str
    reason: str = ""


@dataclass(frozen=True)
class Choice:
    what: Infrastructure
    settings: Settings
    console: Console
    work_dir: Path
    """Scratch for a clone of its recipe."""

    def plan(self, known: Known | None, accept: str) -> tuple[Plan, str]:
        """What to do, and why it is not known whether there is something newer: a forge that is down, mostly."""
        try:
            return self._planned(known, accept)
        finally:
            snapshot.remove(self.work_dir)

    def _planned(self, known: Known | None, accept: str) -> tuple[Plan, str]:
        if known is None:
            return live_plan.plan(None, candidates(self.settings, self.what, None, self.work_dir), {}, ""), ""
        try:
            releases = candidates(self.settings, self.what, known.commit, self.work_dir)
            if accept and accept not in {release.version for release in releases}:
                newest = releases[-1].version
                raise UsageError(f"{accept} is not a release that is waiting", hint=f"the newest one is {newest}")
            notes = release_notes(self.what, self.work_dir, releases)
        except InterruptedRunError:
            raise
        except WarmciError as error:
            if accept:
                raise
            self.console.say(f"warning: {error.message}", style="yellow")
            action = Action.UNCHANGED if known.serves else Action.START
            return Plan(action, None), f"whether there is a newer release is not known: {error.message}"
        return live_plan.plan(known, releases, notes, accept), ""

    def tell(self, plan: Plan, version: str, unknown: str) -> None:
        """An alert for what is held back; none is left where all is as wanted."""
        what = self.what
        if plan.held is not None:
            message = f"{what.title} stays at {version}; {plan.held.version} is held back: {plan.because}"
            hint = f"read its release notes; then: {what.reconcile} --accept {plan.held.version}"
            alerts.alert(self.settings, self.console, what.subject, message, hint)
        elif not unknown:
            self.clear()

    def clear(self) -> None:
        alerts.clear(self.settings, self.what.subject, self.console)

    @contextmanager
    def alerted(self) -> Iterator[None]:
        """What goes wrong is an alert, and infrastructure: a recipe of ours is no verdict on one under test."""
        try:
            yield
        except (InterruptedRunError, UsageError, BusyError):
            raise
        except WarmciError as error:
            name = self.what.subject
            alerts.alert(self.settings, self.console, name, error.message, error.hint or "warmci doctor")
            if isinstance(error, InfraError):
                raise
            raise InfraError(error.message, hint=error.hint or self.what.reconcile) from error

    def alone(self) -> AbstractContextManager[None]:
        """No run uses it meanwhile."""
        return lock.alone(
            self.settings.state_dir,
            wait_s=self.settings.lock_wait_s,
            on_wait=lambda: self.console.say(f"waiting for runs that use the live {self.what.title}", style="yellow"),
            of=self.what,
        )
