"""Converges the live-warm Keycloak to the recipe's newest release, and upgrades it with a way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmci import alerts, interrupts, live_lock, live_plan, live_record, names, provider, snapshot, sso
from warmci.engine import Engine
from warmci.errors import InfraError, InterruptedRunError, UsageError, WarmciError
from warmci.live_plan import Action, Known
from warmci.live_record import LiveRecord, load_deployment, load_live, save_deployment, save_live
from warmci.live_stack import LiveStack, copy_data
from warmci.recipe import clone, list_releases, version_key
from warmci.service_account import make_service_account
from warmci.stages import Recorder

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from warmci.console import Console
    from warmci.provider import Provider
    from warmci.recipe import Release
    from warmci.settings import Settings
    from warmci.sso import KeycloakAccess
    from warmci.state import State

SUBJECT = "keycloak"
_BOOT_S = 120.0
"""How long one that is deployed as recorded may take to answer before it is deployed anew."""


@dataclass(frozen=True)
class Converged:
    """What a reconcile did; `reason` says why where it is not what was wanted."""

    action: Action
    version: str
    url: str
    reason: str = ""


class Reconciler:
    def __init__(self, settings: Settings, console: Console, state: State) -> None:
        self._settings, self._console = settings, console
        self._stack = LiveStack(Engine(settings.docker_host), settings, state.instance, console)
        self._stage = Recorder(console).stage
        self._instance = state.instance

    # --- what is to be done

    def converge(self, accept: str) -> Converged:
        record = load_live(self._settings)
        if record is not None and record.external:
            return self._look_at_external(record)
        plan = self._plan(record, accept)
        if record is None:
            if plan.target is None:
                raise AssertionError("nothing known and nothing wanted")
            return self._fresh(plan.target)
        if plan.action is Action.UPGRADE and plan.target is not None:
            return self._upgrade(record, plan.target)
        if plan.action is Action.START or plan.start:
            record = self._start(record)
        self._collect(record)
        if plan.action is Action.HOLD and plan.target is not None:
            message = f"Keycloak stays at {record.version}; {plan.target.version} is held back: {plan.reason}"
            hint = f"read its release notes; then: warmci keycloak reconcile --accept {plan.target.version}"
            alerts.alert(self._settings, self._console, SUBJECT, message, hint)
        elif not plan.reason:
            alerts.clear(self._settings, SUBJECT)
        return Converged(plan.action, record.version, record.url, plan.reason)

    def _plan(self, record: LiveRecord | None, accept: str) -> live_plan.Plan:
        known = None
        if record is not None:
            known = Known(record.version, record.commit, self._serves(record), record.failed)
        try:
            releases = list_releases(self._settings, provider.RECIPE)
        except InfraError as error:
            if known is None:
                raise
            # A forge that is down is no reason to be without a Keycloak.
            self._console.say(f"warning: {error.message}", style="yellow")
            action = Action.UNCHANGED if known.serves else Action.START
            return live_plan.Plan(action, None, "whether there is a newer release is not known")
        wanted = self._wanted(releases)
        between: list[Release] = []
        notes: dict[str, str] = {}
        if known is not None and known.commit != wanted.commit:
            span = version_key(known.version), version_key(wanted.version)
            between = [release for release in releases if span[0] < version_key(release.version) <= span[1]]
            notes = self._notes(wanted, between)
        return live_plan.plan(known, wanted, between, notes, accept)

    def _wanted(self, releases: list[Release]) -> Release:
        wanted = self._settings.keycloak_ref
        found = [release for release in releases if not wanted or release.version == wanted]
        if not found:
            what = f"no release {wanted}" if wanted else "no release"
            raise UsageError(f"the keycloak recipe has {what}", hint="see keycloak_ref in the settings")
        return found[-1]

    def _notes(self, wanted: Release, between: list[Release]) -> dict[str, str]:
        work = self._settings.live_dir / "work"
        snapshot.remove(work)
        work.mkdir(mode=0o700, parents=True)
        repository = clone(self._settings, provider.RECIPE, work)
        notes = {release.version: repository.release_note(wanted.commit, release.version) for release in between}
        snapshot.remove(work)
        return notes

    def _serves(self, record: LiveRecord) -> bool:
        return self._stack.runs_as(record) and provider.unhealthy(self._settings, record.url) is None

    def _look_at_external(self, record: LiveRecord) -> Converged:
        reason = provider.unhealthy(self._settings, record.url)
        if reason is not None:
            alerts.alert(self._settings, self._console, SUBJECT, f"Keycloak does not serve: {reason}", "warmci doctor")
            raise InfraError(f"Keycloak does not serve: {reason}", hint="it is run by others: ask them")
        alerts.clear(self._settings, SUBJECT)
        return Converged(Action.UNCHANGED, record.version, record.url, "it is run by others")

    # --- doing it

    def _fresh(self, wanted: Release) -> Converged:
        generation = names.new_id()
        home = live_record.generation_dir(self._settings, generation)
        with self._stage(f"keycloak {wanted.version}: deploy") as stage:
            self._stack.undeploy(keep_data=False)
            self._collect(None)
            serving, kept = self._stack.deploy(home, wanted.commit, None)
            stage.detail = serving.url
        with self._stage("service account"), provider.client_for(self._settings, serving.url) as client:
            access = make_service_account(serving.access, client, self._instance)
        save_deployment(home, kept)
        facts = {"url": serving.url, "version": serving.version, "commit": wanted.commit, "generation": generation}
        save_live(self._settings, record_of(access, **facts))
        alerts.clear(self._settings, SUBJECT)
        return Converged(Action.DEPLOY, serving.version, serving.url)

    def _start(self, record: LiveRecord) -> LiveRecord:
        """Bring the recorded one back on its own data; it may just be booting, after a reboot or a restart."""
        if self._stack.runs_as(record):
            with self._stage(f"keycloak {record.version}: wait") as stage:
                try:
                    with provider.client_for(self._settings, record.url) as client:
                        sso.wait_healthy(client, record.url, deadline_s=min(_BOOT_S, self._settings.deploy_timeout_s))
                except InfraError as error:
                    stage.detail = error.message
                else:
                    return record
        with self._alone(), self._stage(f"keycloak {record.version}: start") as stage:
            record = self._redeploy(record)
            stage.detail = record.url
        return record

    def _redeploy(self, record: LiveRecord) -> LiveRecord:
        """The recorded version on its data; at another URL where the settings have another base_domain now."""
        home = live_record.generation_dir(self._settings, record.generation)
        self._stack.undeploy(keep_data=True)
        serving, kept = self._stack.deploy(home, record.commit, load_deployment(home), record.url)
        save_deployment(home, kept)
        record = record.model_copy(update={"url": serving.url})
        save_live(self._settings, record)
        return record

    def _upgrade(self, record: LiveRecord, wanted: Release) -> Converged:
        """On a copy of the data: the record names the old generation, untouched, until the new one has proved good."""
        generation = names.new_id()
        home = live_record.generation_dir(self._settings, generation)
        with self._alone():
            realms, before = (self._realms(record) if self._serves(record) else set()), record.version
            try:
                serving = self._try_upgrade(record, wanted, home, realms)
                upgraded = {"version": serving.version, "url": serving.url, "commit": wanted.commit, "failed": {}}
                record = record.model_copy(update={**upgraded, "generation": generation})
                save_live(self._settings, record)
            except BaseException as error:
                with interrupts.shielded():
                    self._roll_back(record, wanted, error)
                raise
        self._collect(record)
        alerts.clear(self._settings, SUBJECT)
        return Converged(Action.UPGRADE, record.version, record.url, f"from {before}")

    def _try_upgrade(self, record: LiveRecord, wanted: Release, home: Path, realms: set[str]) -> Provider:
        old = live_record.generation_dir(self._settings, record.generation)
        with self._stage(f"keycloak {record.version}: undeploy"):
            killed = self._stack.undeploy(keep_data=True)
            if killed:
                raise InfraError(f"{', '.join(killed)} did not stop within its grace period: its data is not at rest")
        with self._stage("copy the data") as stage:
            copy_data(old, home)
            stage.detail = f"{old.name} → {home.name}"
        with self._stage(f"keycloak {wanted.version}: deploy") as stage:
            serving, kept = self._stack.deploy(home, wanted.commit, load_deployment(old), record.url)
            stage.detail = serving.url
        with self._stage("health gate") as stage:
            lost = realms - self._realms(record.model_copy(update={"url": serving.url}))
            if lost:
                raise InfraError(f"{wanted.version} no longer has realm {min(lost)}")
            stage.detail = f"the service account logs in, {len(realms)} realms are there"
        save_deployment(home, kept)
        return serving

    def _realms(self, record: LiveRecord) -> set[str]:
        with provider.connected(self._settings, record.access) as keycloak:
            return {realm.name for realm in sso.list_realms(keycloak)}

    def _roll_back(self, record: LiveRecord, wanted: Release, failure: BaseException) -> None:
        """The old version on its own data, which nobody touched. Raises InfraError that says how it went."""
        reason = self._console.redact(str(failure)) or type(failure).__name__
        message, hint = f"upgrade of Keycloak to {wanted.version} failed: {reason}", "warmci keycloak reconcile"
        try:
            with self._stage(f"roll back to {record.version}"):
                record = self._redeploy(record)
        except (WarmciError, OSError) as error:
            message = f"{message}; and {record.version} does not come back: {error}"
            alerts.alert(self._settings, self._console, SUBJECT, message, hint)
            raise InfraError(message, hint=hint) from failure
        self._collect(record)
        if isinstance(failure, WarmciError | OSError) and not isinstance(failure, InterruptedRunError):
            save_live(self._settings, record.model_copy(update={"failed": {**record.failed, wanted.version: reason}}))
            message = f"{message}; {record.version} is back with its data"
            hint = f"mend the recipe, or try again: warmci keycloak reconcile --accept {wanted.version}"
            alerts.alert(self._settings, self._console, SUBJECT, message, hint)
            raise InfraError(message, hint=hint) from failure

    def _alone(self) -> AbstractContextManager[None]:
        return live_lock.alone(
            self._settings.state_dir,
            wait_s=self._settings.lock_wait_s,
            on_wait=lambda: self._console.say("waiting for runs that use the live Keycloak", style="yellow"),
        )

    def _collect(self, record: LiveRecord | None) -> None:
        """Generations that nothing names: of killed upgrades, and the one before this."""
        for path in live_record.generations(self._settings):
            if record is None or path.name != record.generation:
                snapshot.remove(path)


def record_of(access: KeycloakAccess, **facts: str) -> LiveRecord:
    account = {"client_id": access.client_id, "client_secret": access.client_secret}
    return LiveRecord.model_validate({**facts, **account})
