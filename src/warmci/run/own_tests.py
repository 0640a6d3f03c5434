"""The operator's tests of one app: what they are told of it, and the pytest that may wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmci.base import authority
from warmci.testing import suite

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.models import TestOutcome
    from warmci.recipe.render import Placement
    from warmci.report.stages import Stage
    from warmci.run.context import Context
    from warmci.testing.pytest_process import PytestProcess


@dataclass
class OwnTests:
    """Of one app, phase by phase."""

    context: Context
    placement: Placement
    work_dir: Path
    secrets: dict[str, str]
    """The app's, by key (`name_v1`); more may come with an upgrade."""
    _begun: PytestProcess | None = None

    def begin(self) -> None:
        """Have pytest start and collect while the app boots: a second of processor time that nobody waits for."""
        self.drop()
        settings, tests_dir = self.context.settings, self.context.tests_dir
        self._begun = suite.begin(tests_dir, self.work_dir, self._plugins, ca=authority.authority(settings))

    def drop(self) -> None:
        """End a pytest that waits in vain."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.close()

    def run(self, phase: suite.Phase, stage: Stage, title: str) -> tuple[TestOutcome, ...]:
        """What came of them; all that they said outlives the run's work, in a file named by the app's title."""
        begun, self._begun = self._begun, None
        context, facts = self.context, self.facts(phase)
        timeout_s = context.config.test_timeout_s
        outcomes = suite.run_suite(context.tests_dir, facts, self.work_dir, timeout_s, self._plugins, begun=begun)
        said = self.work_dir / suite.log_name(phase)
        if said.exists():
            kept = said.replace(context.run_dir / f"{title.replace(' ', '-')}-{said.name}")
            stage.hint = f"all that the tests said is in {kept}"
        return outcomes

    @property
    def _plugins(self) -> list[str]:
        return suite.with_plugins(self.context.settings.pytest_plugins)

    def facts(self, phase: suite.Phase) -> suite.TestContext:
        settings, realm = self.context.settings, self.context.realm
        return suite.TestContext.model_validate(
            {
                "recipe": self.placement.recipe,
                "run": self.context.run_id,
                "phase": phase,
                "url": self.placement.url,
                "domain": self.placement.domain,
                "base_domain": settings.base_domain,
                "address": settings.ingress_address,
                "ca": authority.authority(settings),
                "stack": self.placement.stack,
                "docker_host": settings.docker_host,
                "secrets": {
                    **self.context.config.secrets,
                    **{key.rpartition("_")[0]: value for key, value in self.secrets.items()},
                },
                "sso": realm.test_facts() if realm else None,
                "deps": {"keycloak": realm.provider_url} if realm else {},
            }
        )
