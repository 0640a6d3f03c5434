"""The two halves of a cold run: side by side where neither can touch the other and a slot is free, else in turn."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from warmci.base.errors import BusyError
from warmci.base.stopping import StoppedError, pause, stoppable
from warmci.recipe.trust_gate import allowed_text, real_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from warmci.recipe.render import Rendered
    from warmci.run.context import Context

_End = TypeVar("_End")
_WITHIN = ("cap_add:", "security_opt:", "sysctls:")
"""Words of `allow` for what a container may do to itself alone."""
_HEAD_START_S, _HEAD_START_POLL_S = 4.0, 0.1
"""Measured on two cores: the demo's app boots in 6.6 s with 3 s of head start or more, in 10 s with none."""


def run_both(
    context: Context,
    short: Callable[[], _End],
    long: Callable[[], _End],
    documents: Sequence[Rendered],
    is_up: threading.Event,
) -> list[_End]:
    """What each half returns, in this order. The first that raises stops the other, and is what is raised.

    Side by side each half counts as a run of its own: it takes a slot, which is given back when the first is over. The
    long one has a head start then, until it has set `is_up` or for some seconds: apps that boot at once boot slower.
    """
    because = why_apart(context, documents)
    with ExitStack() as slot:
        if not because:
            try:
                slot.enter_context(context.second_slot())
            except BusyError:
                because = "no slot is free"
        if because:
            context.console.say(f"one half after the other: {because}", style="dim")
            return [short(), long()]
        return _side_by_side(context, (lambda: _behind(is_up, short), long), slot)


def _behind(is_up: threading.Event, work: Callable[[], _End]) -> _End:
    end = time.monotonic() + _HEAD_START_S
    while not is_up.is_set() and time.monotonic() < end:
        pause(_HEAD_START_POLL_S)
    return work()


def why_apart(context: Context, documents: Iterable[Rendered]) -> str:
    """Why two apps of this recipe may not run at once; empty when nothing of one can reach the other."""
    if context.request.keep:
        return "its app may be kept"
    if context.config.sso is not None and context.config.sso.backchannel_logout_path:
        return "a realm tells one app only when a session ends"
    return next((why for rendered in documents for why in _shared(rendered)), "")


def _shared(rendered: Rendered) -> Iterator[str]:
    """What both apps would have in common."""
    document, prefix = rendered.document, allowed_text("")
    for word in (said.removeprefix(prefix) for said in rendered.deviations if said.startswith(prefix)):
        if not word.startswith(_WITHIN):
            yield f"{word} is allowed"
    for key, body in (document.get("networks") or {}).items():
        network: dict[str, Any] = body or {}
        if (network.get("ipam") or {}).get("config"):
            yield f"networks.{key} has addresses of its own choice"
        members = [name for name, service in document["services"].items() if key in (service.get("networks") or {})]
        # There each name is both apps': a lone member asks for no other's, two would meet the other app's.
        if network.get("external") and len(members) > 1:
            yield f"{', '.join(members)} share the network {real_name(key, network)}"


@dataclass
class _Half(Generic[_End]):
    """A half in a thread of its own."""

    work: Callable[[], _End]
    told: threading.Event
    """Set when it is to stop."""
    may_go: threading.Event
    over: queue.SimpleQueue[None]
    ended: threading.Event = field(default_factory=threading.Event)
    results: list[_End] = field(default_factory=list)
    error: BaseException | None = None

    def run(self, failures: list[BaseException]) -> None:
        try:
            with stoppable(self.told):
                self.results.append(self.work())
        except StoppedError as stopped:
            self.error = stopped
        except BaseException as error:  # noqa: BLE001  (it is raised in the main thread)
            self.error = error
            failures.append(error)
        finally:
            if self.error is not None:
                self.told.set()
            self.ended.set()
            self.over.put(None)
        # Programs that it started die with the thread (PR_SET_PDEATHSIG): not before they are cleaned up after.
        self.may_go.wait()


def _side_by_side(context: Context, works: Sequence[Callable[[], _End]], slot: ExitStack) -> list[_End]:
    told, may_go = threading.Event(), threading.Event()
    over = queue.SimpleQueue[None]()
    context.cleanup.callback(may_go.set)
    failures: list[BaseException] = []
    halves = [_Half(work, told, may_go, over) for work in works]
    try:
        with context.shielded():  # an interrupt while a thread begins would lose it
            for half in halves:
                threading.Thread(target=half.run, args=(failures,), daemon=True, name="half").start()
        over.get()
        slot.close()
        for _ in halves[1:]:
            over.get()
    finally:
        with context.shielded():  # an interrupt ends both halves, and is told when they have ended
            told.set()
            for half in halves:
                half.ended.wait()
    if failures:
        raise failures[0]
    return [result for half in halves for result in half.results]
