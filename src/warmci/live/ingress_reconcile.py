"""Converges the live-warm Traefik; it keeps no data, so the way back is the previous release deployed again."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import SecretStr

from warmci.base import interrupts
from warmci.base.errors import InfraError, InterruptedRunError, UsageError, WarmciError
from warmci.live.choice import Choice, Converged
from warmci.live.host_traefik import find_others
from warmci.live.infrastructure import TRAEFIK
from warmci.live.ingress_json import IngressRecord, load_ingress, save_ingress
from warmci.live.plan import Action, Known
from warmci.live.traefik import TraefikStack
from warmci.report.stages import Recorder
from warmci.store import snapshot
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.base.state import State
    from warmci.live.plan import Plan
    from warmci.recipe.repository import Release
    from warmci.report.console import Console


class IngressReconciler:
    def __init__(self, settings: Settings, console: Console, state: State) -> None:
        self._settings, self._console = settings, console
        self._home = settings.ingress_dir
        self._engine, self._instance = Engine(settings.docker_host), state.instance
        self._stack = TraefikStack(self._engine, settings, state.instance, console)
        self._stage = Recorder(console).stage
        self._choice = Choice(TRAEFIK, settings, console, self._home / "choice")

    def converge(self, accept: str) -> Converged:
        """Raises InfraError, with an alert, when it does not serve in the end or an upgrade was rolled back.

        Raises UsageError where somebody else publishes port 443: a host has one ingress.
        """
        record = load_ingress(self._settings)
        if others := find_others(self._engine, self._instance):
            name = others[0].name
            raise UsageError(
                f"{name} publishes port 443 of this host",
                hint=f"runs use it if it is a Traefik on `proxy`; else stop {name}",
            )
        with self._choice.alerted():
            return self._converge(record, accept)

    def _converge(self, record: IngressRecord | None, accept: str) -> Converged:
        known = Known(record.version, record.commit, self._serves(record), record.failed) if record else None
        plan, unknown = self._choice.plan(known, accept)
        if record is None:
            done = self._fresh(_target(plan))
        elif plan.action is Action.UPGRADE:
            done = self._upgrade(record, _target(plan))
        else:
            if plan.action is Action.START or plan.start:
                record = self._start(record)
            done = Converged(plan.action, record.version, record.url, unknown or plan.because)
        self._choice.tell(plan, done.version, unknown)
        return done

    def _serves(self, record: IngressRecord) -> bool:
        return self._stack.runs_as(record) and self._stack.unhealthy(record) is None

    def _fresh(self, wanted: Release) -> Converged:
        with self._choice.alone():
            self._clear()
            try:
                record = self._deploy(wanted.version, wanted.commit)
                save_ingress(self._settings, record)
            except BaseException:
                with interrupts.shielded(), suppress(WarmciError):
                    self._clear()
                raise
        return Converged(Action.DEPLOY, record.version, record.url)

    def _clear(self) -> None:
        self._stack.undeploy()
        snapshot.remove(self._home)

    def _deploy(self, version: str, commit: str) -> IngressRecord:
        self._stack.fetch(self._home, commit)
        return self._replace(version, commit)

    def _replace(self, version: str, commit: str) -> IngressRecord:
        """What is fetched, in place of whatever of ours is there: two of them can't publish one port."""
        self._stack.undeploy()
        with self._stage(f"traefik {version}: deploy") as stage:
            record = self._stack.deploy(self._home, commit, SecretStr(secrets.token_urlsafe(32)))
            stage.detail = record.url
        return record

    def _start(self, record: IngressRecord) -> IngressRecord:
        """The recorded one again, with the certificate and the domain as they are to be now."""
        with self._choice.alone():
            fresh = self._deploy(record.version, record.commit)
            record = fresh.model_copy(update={"failed": record.failed})
            save_ingress(self._settings, record)
        return record

    def _upgrade(self, record: IngressRecord, wanted: Release) -> Converged:
        self._stack.fetch(self._home, wanted.commit)  # what does not come has stopped nothing, and is not remembered
        with self._choice.alone():
            try:
                fresh = self._replace(wanted.version, wanted.commit)
                save_ingress(self._settings, fresh)
            except BaseException as error:
                with interrupts.shielded():
                    self._roll_back(record, wanted, error)
                raise
        return Converged(Action.UPGRADE, fresh.version, fresh.url, f"from {record.version}")

    def _roll_back(self, old: IngressRecord, wanted: Release, failure: BaseException) -> None:
        """The previous release. Raises InfraError that says how it went; a failure of its own is remembered."""
        reason = self._console.redact(str(failure)) or type(failure).__name__
        message, hint = f"upgrade of Traefik to {wanted.version} failed: {reason}", TRAEFIK.reconcile
        own_fault = isinstance(failure, WarmciError) and not isinstance(failure, InterruptedRunError)
        failed = {**old.failed, wanted.version: reason} if own_fault else old.failed
        try:
            with self._stage(f"roll back to {old.version}"):
                back = self._deploy(old.version, old.commit)
            save_ingress(self._settings, back.model_copy(update={"failed": failed}))
        except (WarmciError, OSError) as error:
            with suppress(WarmciError):
                save_ingress(self._settings, old.model_copy(update={"failed": failed}))
            raise InfraError(f"{message}; and {old.version} does not come back: {error}", hint=hint) from failure
        if own_fault:
            hint = f"mend the recipe, or try again: {TRAEFIK.reconcile} --accept {wanted.version}"
            raise InfraError(f"{message}; {old.version} is back", hint=hint) from failure


def _target(plan: Plan) -> Release:
    if plan.target is None:
        raise AssertionError(f"{plan.action} without a target")
    return plan.target
