"""Which pipeline a run takes, only here; and what comes of a green cold one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from warmci.base.errors import (
    InterruptedRunError,
    PromotionError,
    RecipeFailedError,
    RefusedError,
    UnverifiedError,
    WarmciError,
)
from warmci.base.models import Mode, Promotion, Verdict
from warmci.run import cold, promote, quick
from warmci.run.prospect import as_found, prospect

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.models import Canonical
    from warmci.report.console import Console
    from warmci.run.context import Context
    from warmci.store.canonical import CanonicalStore


def sound_canonical(store: CanonicalStore, recipe: str, console: Console, *, has_app_lock: bool) -> Canonical | None:
    """The canonical; one whose snapshot is not the one that was committed is dirty from now on.

    Without the recipe's lock nothing is marked: the snapshot may just be being replaced.
    """
    if not has_app_lock:
        return store.load(recipe)
    before, found = store.load(recipe), as_found(store, recipe)
    if before is not None and found is not None and found.state != before.state:
        console.say(f"the canonical is not usable: {found.reason}", style="yellow")
        store.mark_dirty(recipe, found.reason)
    return store.load(recipe)


class Pipeline:
    """Cold, quick or drill of one run; what becomes known on the way goes into the facts of its result."""

    def __init__(self, context: Context, facts: dict[str, Any]) -> None:
        self._context, self._facts = context, facts
        self._say = context.console.say

    def run(self) -> None:
        context = self._context
        canonical = sound_canonical(
            context.store, context.request.recipe, context.console, has_app_lock=context.has_app_lock
        )
        if canonical is not None:
            self._facts["canonical"] = promote.use_of(canonical)
            context.console.redact.add(*canonical.secrets.values())
        if context.request.mode is Mode.QUICK:
            because = quick.why_not(canonical, context.ingress.kind, context.scheme, context.repository)
            if not because and canonical is not None:
                self._facts |= {"ran": Mode.QUICK, "base_commit": canonical.commit, "base_version": canonical.version}
                self._note(Mode.QUICK, lambda: quick.run_quick(context, canonical))
                return
            self._facts["because"] = because
            self._say(f"requested: quick, ran: cold, because: {because}", style="bold yellow")
        if context.request.mode in (Mode.DRILL, Mode.OPEN):
            self._look_back(canonical, context.request.mode)
            return
        self._facts["ran"] = Mode.COLD
        self._note(Mode.COLD, lambda: self._cold(canonical))

    def _look_back(self, canonical: Canonical | None, mode: Mode) -> None:
        """The canonical as it is: a drill, or opened to look at."""
        context = self._context
        because = quick.why_not(canonical, context.ingress.kind, context.scheme, context.repository)
        if because or canonical is None:
            raise UnverifiedError(f"no {mode}: {because}", hint=context.request.command)
        self._facts |= {"ran": mode, "base_commit": canonical.commit, "base_version": canonical.version}
        try:
            (quick.run_drill if mode is Mode.DRILL else quick.run_open)(context, canonical)
        except RecipeFailedError:
            context.require_infrastructure()
            raise

    def _note(self, mode: Mode, pipeline: Callable[[], None]) -> None:
        """Keep the verdict with the canonical, for whoever looks at it later; not that of a pull request's cold run."""
        context = self._context

        def note(verdict: Verdict) -> None:
            if context.has_app_lock:
                text = f"{verdict} {context.head[:8]} by {context.run_id}"
                context.store.note_verdict(context.request.recipe, mode, text)

        try:
            pipeline()
        except RefusedError:
            note(Verdict.REFUSED)
            raise
        except RecipeFailedError:
            context.require_infrastructure()
            note(Verdict.FAIL)
            raise
        except UnverifiedError:
            note(Verdict.UNVERIFIED)
            raise
        note(Verdict.PASS)

    def _cold(self, canonical: Canonical | None) -> None:
        context, kind, scheme = self._context, self._context.ingress.kind, self._context.scheme
        asked = (canonical, context.request, context.repository, context.head)
        coming = prospect(*asked, trusted=context.trusted, kind=kind, scheme=scheme)
        if coming.action == "seed" and coming.reason:
            self._say(f"{coming.reason}: it is made anew", style="bold yellow")
            context.deviate(f"{coming.reason}: it is made anew")
        end = cold.run_cold(context, coming.action)
        if end.base is not None:
            self._facts |= {"base_commit": end.base.commit, "base_version": end.base.version}
        if coming.action != "none":
            self._promote(canonical, end)
            return
        if coming.hint:
            self._say(f"not promoted: {coming.reason}; {coming.hint}", style="yellow")
        self._facts["promotion"] = Promotion(action="none", outcome="skipped", reason=coming.reason)

    def _promote(self, canonical: Canonical | None, end: cold.ColdEnd) -> None:
        """Cold stays green if promotion fails; that failure has its own verdict."""
        context, began = self._context, time.monotonic()

        def told(**facts: object) -> None:
            action, seconds = "seed" if end.seed is not None else "advance", round(time.monotonic() - began, 3)
            self._facts["promotion"] = Promotion.model_validate({"action": action, "seconds": seconds, **facts})

        try:
            if end.seed is not None:
                made = promote.seed(context, end.seed)
            elif canonical is not None:
                made = promote.advance(context, canonical)
            else:
                raise AssertionError("neither a seed nor a canonical to advance")
        except InterruptedRunError:
            raise
        except (WarmciError, OSError) as error:
            told(outcome="failed", reason=context.console.redact(str(error)))
            helps = getattr(error, "hint", None)
            hint = f"{helps}; the canonical is as it was" if helps else "the canonical is as it was"
            raise PromotionError(f"cold passed, but promotion failed: {error}", hint=hint) from error
        told(outcome="ok", canonical=promote.use_of(made))
