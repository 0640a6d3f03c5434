"""Tells the forge of a run: pending before, the verdict after. Never changes the verdict, never takes long."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, InterruptedRunError, WarmciError
from warmci.base.models import Verdict
from warmci.base.state import open_state
from warmci.report import comment, forge, words
from warmci.report.forge import Forge
from warmci.run import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from warmci.base.models import RunResult
    from warmci.base.settings import Settings
    from warmci.report.console import Console
    from warmci.run.context import Request

START_S = 10.0
FINISH_S = 30.0
INTERRUPTED_S = 5.0
"""Whoever interrupts a CI job kills it soon after."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def announced(
    settings: Settings, console: Console, request: Request, run: Callable[[], RunResult], *, link: str = ""
) -> RunResult:
    """Run it; where the settings name a forge and the request a pull request, the forge hears of it."""
    if not settings.forge_url or not request.pr:
        return run()
    console.redact.add(settings.forge_token.get_secret_value())
    news = _News(settings, console, request, link)
    try:
        news.start()
    except InterruptedRunError as error:
        news.give_up()
        return record.refused(settings.state_dir, console, request, error)
    try:
        result = run()
    except BaseException:
        news.give_up()
        raise
    news.finish(result)
    return result


@dataclass
class _News:
    settings: Settings
    console: Console
    request: Request
    link: str
    _pending: str = field(default="", init=False)
    """Commit that was told pending, under the context of the mode that was asked for."""

    def start(self) -> None:
        def tell(at: Forge, _deadline: float) -> None:
            ref = self.request.ref
            commit = ref if _COMMIT.fullmatch(ref) else at.pull_head(self.request.pr)
            self._pending = commit  # also when the answer is lost: the forge may have heard all the same
            at.set_status(commit, self._asked, "pending", f"{self.request.mode}: under way", self.link)

        self._tell(START_S, "pending", tell)

    def finish(self, result: RunResult) -> None:
        mode = words.mode_of(result)
        commit = result.head_commit or self._pending

        def tell(at: Forge, deadline: float) -> None:
            try:
                set_statuses(at, deadline)
            finally:  # a token that may only comment still tells
                instance = open_state(self.settings.state_dir, floor_bytes=0).instance
                marker, body = comment.marker(mode, instance), comment.comment(result, instance)
                forge.persist(deadline, lambda: at.put_comment(self.request.pr, marker, body))

        def set_statuses(at: Forge, deadline: float) -> None:
            if commit:
                state, text = comment.state_of(result), comment.description(result)
                context = comment.context(mode)
                forge.persist(deadline, lambda: at.set_status(commit, context, state, text, self.link))
            if commit and mode is not self.request.mode:
                because = f"{self.request.mode} did not run: {mode} ran, because {result.because}"
                forge.persist(deadline, lambda: at.set_status(commit, self._asked, "warning", because, self.link))
            if self._pending and self._pending != commit:
                moved = f"not tested: the run tested {commit[:12]}"
                stale = self._pending
                forge.persist(deadline, lambda: at.set_status(stale, self._asked, "error", moved, self.link))

        interrupted = result.verdict is Verdict.INTERRUPTED
        with suppress(InterruptedRunError):  # the verdict stands, whoever is impatient now
            self._tell(INTERRUPTED_S if interrupted else FINISH_S, result.verdict, tell)

    def give_up(self) -> None:
        """No verdict will come, by a bug or an interrupt before the run began; pending must not stand for ever."""

        def tell(at: Forge, deadline: float) -> None:
            text = f"{self.request.mode}: ended without a verdict on the recipe"
            commit = self._pending
            forge.persist(deadline, lambda: at.set_status(commit, self._asked, "error", text, self.link))

        if self._pending:
            with suppress(InterruptedRunError):
                self._tell(INTERRUPTED_S, "error", tell)

    @property
    def _asked(self) -> str:
        return comment.context(self.request.mode)

    def _tell(self, seconds: float, what: str, tell: Callable[[Forge, float], None]) -> None:
        try:
            with self._forge() as at:
                _within(seconds, lambda: tell(at, time.monotonic() + seconds))
        except InterruptedRunError:
            raise
        except Exception as error:  # noqa: BLE001  (no failure here, not even a bug of ours, may change the verdict)
            said = error.message if isinstance(error, WarmciError) else f"{type(error).__name__}: {error}"
            hint = f" ({error.hint})" if isinstance(error, WarmciError) and error.hint else ""
            self.console.say(f"warning: {what} was not announced: {said}{hint}", style="yellow")

    @contextmanager
    def _forge(self) -> Iterator[Forge]:
        settings = self.settings
        repository = settings.forge_repository.format(recipe=self.request.recipe)
        with Forge(settings.forge_url, settings.forge_token.get_secret_value(), repository) as at:
            yield at


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Timeouts of single reads do not bound a server that drips: the thread that waits for it is left behind."""
    failed: list[Exception] = []

    def guarded() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  (raised in the caller's thread)
            failed.append(error)

    thread = threading.Thread(target=guarded, daemon=True, name="announce")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise InfraError(f"the forge has not answered within {seconds:.0f} s")
    if failed:
        raise failed[0]
