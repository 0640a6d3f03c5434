"""Converges the live-warm Keycloak to the newest release that needs no person, and upgrades it with a way back."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from warmci.base import interrupts, names
from warmci.base.errors import InfraError, InterruptedRunError, WarmciError
from warmci.live import account, keycloak_json
from warmci.live.choice import Choice, Converged
from warmci.live.infrastructure import KEYCLOAK
from warmci.live.ingress_use import take as take_ingress
from warmci.live.keycloak_json import LiveRecord, load_deployment, load_live, save_deployment, save_live
from warmci.live.plan import Action, Known, Plan
from warmci.live.stack import LiveStack, copy_data, require_room
from warmci.report.stages import Recorder
from warmci.sso import admin_rest, keycloak_app, realm_lifecycle
from warmci.store import snapshot
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.settings import Settings
    from warmci.base.state import State
    from warmci.recipe.repository import Release
    from warmci.report.console import Console
    from warmci.sso.keycloak_app import Provider

_BOOT_S = 120.0
"""How long one that is deployed as recorded may take to answer before it is deployed anew."""


class Reconciler:
    def __init__(self, settings: Settings, console: Console, state: State) -> None:
        self._settings, self._console = settings, console
        self._stage = Recorder(console).stage
        self._instance = state.instance
        self._choice = Choice(KEYCLOAK, settings, console, settings.live_dir / "work")

    def converge(self, accept: str) -> Converged:
        """Raises InfraError, with an alert, when it does not serve in the end or an upgrade was rolled back."""
        record = load_live(self._settings)
        with self._choice.alerted(), ExitStack() as use:
            if record is not None and record.external:
                return self._look_at_external(record)
            engine = Engine(self._settings.docker_host)
            chosen = take_ingress(self._settings, engine, self._instance, use, self._console)
            self._stack = LiveStack(engine, self._settings, self._instance, self._console, chosen)
            return self._converge(record, accept)

    def _converge(self, record: LiveRecord | None, accept: str) -> Converged:
        known = Known(record.version, record.commit, self._serves(record), record.failed) if record else None
        plan, unknown = self._choice.plan(known, accept)
        if record is None:
            return self._fresh(_target(plan))
        if plan.action is Action.UPGRADE:
            done = self._upgrade(record, _target(plan))
            record = load_live(self._settings) or record
        else:
            if plan.action is Action.START or plan.start:
                record = self._start(record)
            record = account.ensure(self._settings, self._console, self._instance, record)
            done = Converged(plan.action, record.version, record.url, unknown or plan.because)
        self._collect(record)
        self._choice.tell(plan, record.version, unknown)
        return done

    def _serves(self, record: LiveRecord) -> bool:
        return self._stack.runs_as(record) and keycloak_app.unhealthy(self._settings, record.url) is None

    def _look_at_external(self, record: LiveRecord) -> Converged:
        reason = keycloak_app.unusable(self._settings, record.access)
        if reason is not None:
            raise InfraError(f"Keycloak does not serve: {reason}", hint="it is run by others: ask them")
        self._choice.clear()
        return Converged(Action.UNCHANGED, record.version, record.url, "it is run by others")

    # --- doing it

    def _fresh(self, wanted: Release) -> Converged:
        generation = names.new_id()
        home = keycloak_json.generation_dir(self._settings, generation)
        self._stack.undeploy(keep_data=False)
        self._collect(None)
        try:
            with self._stage(f"keycloak {wanted.version}: deploy") as stage:
                serving, kept = self._stack.deploy(home, wanted.commit, None)
                stage.detail = serving.url
            with self._stage("service account"):
                access = account.make(self._settings, serving.access, new_secret=True)
            save_deployment(home, kept)
            facts = {"url": serving.url, "version": serving.version, "commit": wanted.commit, "generation": generation}
            save_live(self._settings, keycloak_json.of(access, **facts))
        except BaseException:
            with interrupts.shielded(), suppress(WarmciError):
                self._stack.undeploy(keep_data=False)
                self._collect(None)
            raise
        self._choice.clear()
        return Converged(Action.DEPLOY, serving.version, serving.url)

    def _start(self, record: LiveRecord) -> LiveRecord:
        """Bring the recorded one back on its own data; it may just be booting, after a reboot or a restart."""
        if self._stack.runs_as(record):
            with self._stage(f"keycloak {record.version}: wait") as stage:
                try:
                    with keycloak_app.client_for(self._settings, record.url) as client:
                        admin_rest.wait_healthy(
                            client, record.url, deadline_s=min(_BOOT_S, self._settings.deploy_timeout_s)
                        )
                except InfraError as error:
                    stage.detail = error.message
                else:
                    return record
        with self._choice.alone(), self._stage(f"keycloak {record.version}: start") as stage:
            record = self._redeploy(record)
            stage.detail = record.url
        return record

    def _redeploy(self, record: LiveRecord) -> LiveRecord:
        """The recorded version on its data; at another URL where the settings have another base_domain now."""
        home = keycloak_json.generation_dir(self._settings, record.generation)
        self._stack.undeploy(keep_data=True)
        serving, kept = self._stack.deploy(home, record.commit, load_deployment(home), record.url)
        save_deployment(home, kept)
        if serving.url != record.url:
            record = record.model_copy(update={"url": serving.url})
            save_live(self._settings, record)
        return record

    def _upgrade(self, record: LiveRecord, wanted: Release) -> Converged:
        """On a copy of the data: the record names the old generation, untouched, until the new one has proved good."""
        old = keycloak_json.generation_dir(self._settings, record.generation)
        generation = names.new_id()
        home = keycloak_json.generation_dir(self._settings, generation)
        require_room(old)
        with ExitStack() as alone:
            try:  # images come while the old version serves: one that does not has stopped nothing
                self._provide(record, wanted, old, home)
                alone.enter_context(self._choice.alone())
            except BaseException:
                snapshot.remove(home)
                raise
            realms = self._realms(record) if self._serves(record) else set()
            try:
                self._move_data(record, old, home)
                serving = self._try(record, wanted, home, realms)
                facts = {"url": serving.url, "version": serving.version, "commit": wanted.commit, "failed": {}}
                save_live(self._settings, record.model_copy(update={**facts, "generation": generation}))
            except BaseException as error:
                with interrupts.shielded():
                    self._roll_back(record, wanted, error)
                raise
        return Converged(Action.UPGRADE, serving.version, serving.url, f"from {record.version}")

    def _provide(self, record: LiveRecord, wanted: Release, old: Path, home: Path) -> None:
        """Its failure is not remembered: a registry may have the image, or answer, the next night."""
        with self._stage(f"keycloak {wanted.version}: images"):
            self._stack.provide(home, wanted.commit, load_deployment(old), record.url)

    def _move_data(self, record: LiveRecord, old: Path, home: Path) -> None:
        with self._stage(f"keycloak {record.version}: undeploy"):
            killed = self._stack.undeploy(keep_data=True)
            if killed:
                raise InfraError(f"{', '.join(killed)} did not stop within its grace period: its data is not at rest")
        self._collect(record)
        with self._stage("copy the data") as stage:
            copy_data(old, home)
            stage.detail = f"{old.name} → {home.name}"

    def _try(self, record: LiveRecord, wanted: Release, home: Path, realms: set[str]) -> Provider:
        """Deploy the new version and see that it is as good. Its failures are its own, and remembered."""
        old = keycloak_json.generation_dir(self._settings, record.generation)
        try:
            with self._stage(f"keycloak {wanted.version}: deploy") as stage:
                serving, kept = self._stack.deploy(home, wanted.commit, load_deployment(old), record.url)
                stage.detail = serving.url
            with self._stage("health gate") as stage:
                lost = realms - self._realms(record.model_copy(update={"url": serving.url}))
                if lost:
                    raise InfraError(f"{wanted.version} no longer has realm {min(lost)}")
                stage.detail = f"the service account logs in, {len(realms)} realms are there"
            save_deployment(home, kept)
        except InterruptedRunError:
            raise
        except WarmciError as error:
            failed = {**record.failed, wanted.version: self._console.redact(error.message)}
            save_live(self._settings, record.model_copy(update={"failed": failed}))
            raise
        return serving

    def _realms(self, record: LiveRecord) -> set[str]:
        with keycloak_app.connected(self._settings, record.access) as keycloak:
            return {realm.name for realm in realm_lifecycle.list_realms(keycloak)}

    def _roll_back(self, old: LiveRecord, wanted: Release, failure: BaseException) -> None:
        """What the record on disk names now, on its data. Raises InfraError that says how it went."""
        reason = self._console.redact(str(failure)) or type(failure).__name__
        message, hint = f"upgrade of Keycloak to {wanted.version} failed: {reason}", "warmci keycloak reconcile"
        try:
            # On disk, not in memory: an upgrade that failed at its very last write may have been recorded all the same.
            record = load_live(self._settings) or old
            with self._stage(f"roll back to {record.version}"):
                record = self._redeploy(record)
            self._collect(record)
        except (WarmciError, OSError) as error:
            raise InfraError(f"{message}; and {old.version} does not come back: {error}", hint=hint) from failure
        if isinstance(failure, WarmciError | OSError) and not isinstance(failure, InterruptedRunError):
            if wanted.version in record.failed:
                hint = f"mend the recipe, or try again: warmci keycloak reconcile --accept {wanted.version}"
            raise InfraError(f"{message}; {record.version} is back with its data", hint=hint) from failure

    def _collect(self, record: LiveRecord | None) -> None:
        """Generations that nothing names: of killed upgrades, and the one before this."""
        for path in keycloak_json.generations(self._settings):
            if record is None or path.name != record.generation:
                snapshot.remove(path)


def _target(plan: Plan) -> Release:
    if plan.target is None:
        raise AssertionError(f"{plan.action} without a target")
    return plan.target
