"""Keeps a run's app up for people to look at: the run waits before its clean-up, and holds all that it held.

There is nothing to hand over and no mark that could be stale: a kept run lives as long as its process, and one that was
killed is cleaned up after like any other.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from warmci.base import fs
from warmci.base.errors import InfraError, InterruptedRunError, RecipeFailedError, WarmciError
from warmci.run import kept_app
from warmci.run.kept_app import KeptApp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.run.app import App
    from warmci.run.context import Context
    from warmci.run.kept_app import Keeping
    from warmci.testing.suite import Phase


def _keep(keeping: Keeping, context: Context, app: App, phase: Phase, outcome: WarmciError | None) -> None:
    """Wait until the time is over or somebody ends it (SIGTERM, Ctrl-C); raises nothing for either."""
    began = datetime.now(UTC)
    until = began + timedelta(seconds=context.request.keep_s)
    try:
        with context.shielded():
            _write(context, app, phase, until)
            keeping.show(f"kept until {until:%F %T} UTC", until)
            result = keeping.result(outcome, until)
            for line in _invitation(context, app, until):
                context.console.say(line)
            keeping.told(result)
        threading.Event().wait(max(0.0, (until - datetime.now(UTC)).total_seconds()))
        context.console.say("its time is over: cleaning up")
    except InterruptedRunError as ended:
        context.console.say(f"kept no longer ({ended.message}): cleaning up")
    except (OSError, WarmciError) as error:
        said = error.message if isinstance(error, WarmciError) else error.strerror or str(error)
        context.console.say(f"the app cannot be kept: {said}", style="yellow")
    finally:
        keeping.seconds += (datetime.now(UTC) - began).total_seconds()
        with suppress(OSError):
            kept_app.record_path(context.run_dir).unlink(missing_ok=True)


@contextmanager
def at_end(context: Context, app: App, phase: Phase, *, last: bool = True) -> Iterator[None]:
    """Around an app's stages: keeps it where they end red, and the last one of a run also where they end green."""
    keeping, wanted = context.keeping, context.request.keep
    try:
        yield
    except (RecipeFailedError, InfraError) as fault:
        is_last_try = not (isinstance(fault, RecipeFailedError) and fault.again)
        if keeping is not None and wanted and is_last_try:
            _keep(keeping, context, app, phase, _outcome(context, fault))
        raise
    if keeping is not None and wanted == "always" and last:
        _keep(keeping, context, app, phase, None)


def _outcome(context: Context, red: WarmciError) -> WarmciError:
    """A recipe is not at fault where its Keycloak or proxy is gone."""
    if isinstance(red, RecipeFailedError):
        try:
            context.require_infrastructure()
        except InfraError as broken:
            return broken
    return red


def _write(context: Context, app: App, phase: Phase, until: datetime) -> None:
    facts = app.own_tests.facts(phase)
    services = sorted(app.rendered.document["services"]) if app.rendered else []
    route = app.rendered.route if app.rendered else None
    record = KeptApp(
        run=context.run_id,
        recipe=context.request.recipe,
        pid=os.getpid(),
        until=until,
        tests_dir=context.tests_dir,
        test_timeout_s=context.config.test_timeout_s,
        services=tuple(services),
        routed=route.service if route else "",
        context=facts,
    )
    for name, value in kept_app.secrets_of(facts).items():
        path = kept_app.secrets_dir(context.run_dir) / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fs.write_atomic(path, value)
    kept_app.write(context.run_dir, record)


def _invitation(context: Context, app: App, until: datetime) -> Iterator[str]:
    """What a person does next."""
    run = context.run_id
    held = "the recipe's lock and a slot" if context.has_app_lock else "a slot"
    yield f"kept until {until:%F %T} UTC; it holds {held}"
    yield f"  URL      {app.placement.url}"
    if context.realm is not None:
        user = next(iter(context.realm.passwords))
        yield f"  user     {user}, password in {kept_app.secrets_dir(context.run_dir) / f'user-{user}'}"
    if (home := kept_app.secrets_dir(context.run_dir)).is_dir():
        yield f"  secrets  {home}, one file each"
    yield f"  warmci run test {run}     the recipe's own tests again; -k and -x as pytest has them"
    yield f"  warmci run shell {run}    a shell in a service's container"
    yield f"  warmci run logs {run}     what all services said"
    yield f"  warmci run clean {run}    end it now"
