"""A run whose app may be kept goes in a process of its own, which stays when the command that started it ends."""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import threading
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from warmci.base import interrupts, process
from warmci.base.errors import InfraError, InterruptedRunError
from warmci.base.models import Mode, Record, RunResult
from warmci.report.console import Output, print_data
from warmci.run import record
from warmci.run.context import Request
from warmci.run.run import run_recipe

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.report.console import Console

MODULE = "warmci.cli.own_process"
_OURS = ("WARMCI_", "DOCKER_", "CREDENTIALS_DIRECTORY", "NO_COLOR", "COLUMNS")
_PR_SET_PDEATHSIG = 1
_STOP_GRACE_S = 120.0
_LOG = "kept.log"


class Order(Record):
    """What the other process is asked to do."""

    recipe: str
    mode: Mode
    ref: str
    pr: str
    reseed: bool
    source: str
    worktree: bool
    keep: Literal["", "failure", "always"]
    keep_s: float
    job: str
    lock_wait_s: float

    def request(self) -> Request:
        return Request(**{name: value for name, value in dict(self).items() if name != "lock_wait_s"})


def run_in_own_process(settings: Settings, console: Console, request: Request) -> RunResult:
    """Start it and wait until it ends, or is kept; its talk goes where ours goes.

    It dies with us until it is kept. An interrupt is handed on, once, and its clean-up waited for, however impatient
    somebody is: its result is what is told.
    """
    child: _Child | None = None
    interrupt: InterruptedRunError | None = None
    with interrupts.once():  # a second one would come while the first is handed on
        try:
            with interrupts.shielded():
                child = _Child(settings, request)
            child.wait()
        except InterruptedRunError as error:
            if child is None:
                raise
            interrupt = error
            child.interrupt()
    try:
        return RunResult.model_validate_json(child.said or "")
    except ValidationError:
        code = process.wait(child.process, timeout_s=_STOP_GRACE_S)
        if interrupt is not None and code == -signal.SIGTERM:
            # Before it listened to signals, and so before it had made anything.
            return record.refused(settings.state_dir, console, request, interrupt)
        raise InfraError(
            f"the run ended without a result ({code})", hint="warmci recover; then start it again"
        ) from None


class _Child:
    """The other process, and a thread that takes in what it says: an interrupt of ours loses nothing of it."""

    def __init__(self, settings: Settings, request: Request) -> None:
        facts = {name: getattr(request, name) for name in Order.model_fields if name != "lock_wait_s"}
        order = Order(**facts, lock_wait_s=settings.lock_wait_s)
        argv, env = process.own_program(MODULE, order.model_dump_json())
        env |= {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
        env["WARMCI_MAX_TESTS"] = str(settings.max_tests)
        self.process = process.start(argv, env=env, talks=True)
        self.said: str | None = None
        self._told = queue.SimpleQueue[None]()
        """Waited for: a join that a signal interrupts may take a living thread for ended, two break an Event's lock."""
        threading.Thread(target=self._listen, name="result", daemon=True).start()

    def _listen(self) -> None:
        if self.process.stdout is None:
            raise AssertionError("started with a pipe")
        said = ""
        try:
            with self.process.stdout as pipe:
                said = pipe.read()
        finally:
            self.said = said
            self._told.put(None)

    def wait(self) -> None:
        """Until it has told its result, or ended without."""
        while self.said is None:  # a signal may take what was just got
            self._told.get()

    def interrupt(self) -> None:
        """Unless it has told its result already; returns when it has."""
        if self.said is None:
            process.interrupt(self.process)
        self.wait()


def run_here(settings: Settings, console: Console, order: Order) -> RunResult:
    """In the process of its own: run, and let go of whoever started us once the app is kept."""

    def let_go(result: RunResult) -> None:
        # First outlive it: it ends as soon as it has read the result.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)
        print_data(result.model_dump_json())
        for descriptor in (0, 1):
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        console.move_to(settings.runs_dir / result.run / _LOG)

    result = run_recipe(settings, console, order.request(), told=let_go)
    interrupts.end()
    if not Output.printed:
        print_data(result.model_dump_json())
    return result
