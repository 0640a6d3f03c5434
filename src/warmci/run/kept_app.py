"""The app of a kept run as other processes find it: who it is, its tests again, its end."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from warmci.base import fs
from warmci.base.errors import InfraError, UsageError
from warmci.base.models import Record
from warmci.base.names import record_id
from warmci.base.run_locks import is_alive
from warmci.testing import suite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from warmci.base.errors import WarmciError
    from warmci.base.models import RunResult, TestOutcome
    from warmci.base.settings import Settings

_RECORD = "kept.json"
_SECRETS = "secrets"
_END_S = 300.0
_POLL_S = 0.1
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class KeptApp(Record):
    """RUN/work/kept.json, 0600, gone with the run's work; secrets are in it."""

    schema_version: Literal[1] = 1
    run: str
    recipe: str
    pid: int
    until: datetime
    tests_dir: Path
    test_timeout_s: float
    services: tuple[str, ...]
    routed: str
    """The service that people reach; empty where none is."""
    context: suite.TestContext


@dataclass
class Keeping:
    """What one run does while its app is kept (run/keeping.py)."""

    result: Callable[[WarmciError | None, datetime], RunResult]
    """The run's result as it stands, written down with its reports."""
    show: Callable[[str, datetime], None]
    """Says in the run's locks that it is kept, and until when."""
    told: Callable[[RunResult], None] = lambda _result: None
    """Called once the app can be used; what is said afterwards goes where the run's talk goes then."""
    seconds: float = 0.0
    """How long it was kept: no part of the run's own length."""


def record_path(run_dir: Path) -> Path:
    return run_dir / "work" / _RECORD


def secrets_dir(run_dir: Path) -> Path:
    return run_dir / "work" / _SECRETS


def secrets_of(context: suite.TestContext) -> dict[str, str]:
    """File name to value: the recipe's secrets, the passwords of the realm's users, its client's secret."""
    found = {name: value.get_secret_value() for name, value in context.secrets.items()}
    if context.sso is not None:
        found |= {f"user-{user.username}": user.password.get_secret_value() for user in context.sso.users}
        found["client-secret"] = context.sso.client_secret.get_secret_value()
    return {_UNSAFE.sub("-", name).lstrip(".") or "x": value for name, value in found.items()}


def write(run_dir: Path, app: KeptApp) -> None:
    fs.write_atomic(record_path(run_dir), suite.with_secrets(app))


def find(settings: Settings, run: str) -> KeptApp:
    """Raises UsageError for a run that is not kept, or not any more; InfraError where its record cannot be read."""
    home = settings.runs_dir / record_id(run)
    if not home.is_dir():
        raise UsageError(f"there is no run {run} in {settings.runs_dir}", hint="warmci status lists the last runs")
    if not is_alive(settings.state_dir, run):
        left = (home / "work").exists()
        hint = "warmci recover cleans up after it" if left else f"warmci run show {run}; --keep keeps a run's app up"
        raise UsageError(f"run {run} has ended: nothing of it is kept", hint=hint)
    path = record_path(home)
    try:
        return KeptApp.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"run {run} is under way, and not kept", hint="warmci locks says what it does") from None
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "not what this version writes"
        hint = "warmci locks names its process, which cleans up at a SIGTERM"
        raise InfraError(f"{path} cannot be read: {why}", hint=hint) from error


def service_of(app: KeptApp, service: str) -> str:
    """The service that was named, or the one that people reach. Raises UsageError where there is none of that name."""
    chosen = service or app.routed or next(iter(app.services), "")
    if chosen not in app.services:
        raise UsageError(f"{app.recipe} has no service {chosen}", hint=f"it has: {', '.join(app.services)}")
    return chosen


def test_again(
    settings: Settings, app: KeptApp, options: Sequence[str], phase: suite.Phase | None
) -> tuple[tuple[TestOutcome, ...], str]:
    """(outcomes, all that the tests said): the operator's tests as they are now, against the app that is kept.

    Raises InfraError when the run ends meanwhile, and its directory goes, or nothing can be written there.
    """
    context = app.context.model_copy(update={"phase": phase or app.context.phase})
    work = settings.runs_dir / app.run / "work" / "again"
    options = [*suite.with_plugins(settings.pytest_plugins), *options]
    failure: OSError | None = None
    outcomes: tuple[TestOutcome, ...] = ()
    said = ""
    try:
        outcomes = suite.run_suite(app.tests_dir, context, work, app.test_timeout_s, options)
        log = work / suite.log_name(context.phase)
        said = log.read_text(encoding="utf-8") if log.exists() else ""
    except OSError as error:
        failure = error
    if not is_alive(settings.state_dir, app.run):
        with suppress(OSError):  # made again perhaps after the run's own clean-up
            fs.remove_tree(work)
            work.parent.rmdir()
        raise InfraError(f"run {app.run} ended while its tests ran", hint="--keep-for keeps it longer") from failure
    if failure is not None:
        raise InfraError(f"the tests of run {app.run} cannot run: {failure}", hint="warmci doctor") from failure
    return outcomes, said


def end(settings: Settings, app: KeptApp, say: Callable[[str], None]) -> None:
    """Have the run clean up, and wait for it. Raises InfraError when it has not ended after five minutes."""
    try:
        process = os.pidfd_open(app.pid)
    except ProcessLookupError:
        return
    try:
        # Only now is it sure that the number is still its own: its lock is held by it alone.
        if is_alive(settings.state_dir, app.run):
            signal.pidfd_send_signal(process, signal.SIGTERM)
    except ProcessLookupError:
        return
    finally:
        os.close(process)
    deadline = time.monotonic() + _END_S
    while is_alive(settings.state_dir, app.run):
        if time.monotonic() > deadline:
            raise InfraError(f"run {app.run} still cleans up after {_END_S:.0f} s", hint="warmci locks")
        say(f"run {app.run} cleans up")
        time.sleep(_POLL_S)
