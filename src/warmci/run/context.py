"""What the steps of one run share: who runs, on what, with what; owned by run.py, used by cold, quick and promote."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from warmci.base import http, interrupts, names
from warmci.base.errors import InfraError
from warmci.base.locks import Holder, slot
from warmci.base.models import Ingress, Mode
from warmci.live.host_traefik import HTTPS
from warmci.live.infrastructure import TRAEFIK
from warmci.recipe import healthcheck
from warmci.recipe.render import Placement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager, ExitStack
    from pathlib import Path

    from warmci.base.journal import Journal
    from warmci.base.locks import Lock
    from warmci.base.ports import Ports
    from warmci.base.settings import Settings
    from warmci.live.ingress import Chosen
    from warmci.recipe.config import RecipeConfig
    from warmci.recipe.own_ca import OwnCa
    from warmci.recipe.repository import Repository
    from warmci.report.console import Console
    from warmci.report.stages import Recorder
    from warmci.run.kept_app import Keeping
    from warmci.sso.run_realm import RunRealm
    from warmci.store.canonical import CanonicalStore
    from warmci.swarm.direct import Direct
    from warmci.swarm.engine import Engine


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    recipe: str
    mode: Mode
    ref: str = ""
    pr: str = ""
    reseed: bool = False
    source: str = ""
    """The directory or URL that the recipe was named by; empty: wherever the settings say it is."""
    worktree: bool = False
    """Whether that directory is tested as it is, with what is not committed."""
    keep: Literal["", "failure", "always"] = ""
    """Whether the app stays up for people to look at before it is taken away: when the run is red, or in any case."""
    keep_s: float = 7200.0
    job: str = ""
    """URL of the CI job that asks."""

    @property
    def repeat(self) -> str:
        """What to type for the same again."""
        if self.mode in (Mode.DRILL, Mode.OPEN):
            return shlex.join(["warmci", "canonical", str(self.mode), self.recipe])
        words = ["run_recipe_ci.py", self.source or self.recipe]
        for option, value in (("--ref", self.ref), ("--pr", self.pr)):
            words += [option, value] if value else []
        flags = {"--quick": self.mode is Mode.QUICK, "--reseed": self.reseed, "--worktree": self.worktree}
        return shlex.join([*words, *(flag for flag, wanted in flags.items() if wanted)])

    @property
    def command(self) -> str:
        """What to type for a cold run of the same recipe."""
        return f"run_recipe_ci.py {self.source or self.recipe}"


@dataclass
class Context:
    """One run under way. `cleanup` undoes in reverse order whatever was acquired; each undo is idempotent."""

    request: Request
    settings: Settings
    engine: Engine
    instance: str
    run_id: str
    run_dir: Path
    console: Console
    recorder: Recorder
    journal: Journal
    store: CanonicalStore
    repository: Repository
    config: RecipeConfig
    head: str
    cleanup: ExitStack
    ports: Ports
    gateway: str
    dnsrr: bool
    ingress: Chosen
    has_app_lock: bool
    """Whether the run holds its recipe's lock, so that it may write to the canonical."""
    node: str = ""
    """Id of this engine's node where the swarm has several."""
    fronted: bool = False
    """Ingress direct: whether a proxy of ours leads to apps, or they publish a port themselves (swarm/direct.py)."""
    trusted: bool = False
    realm: RunRealm | None = None
    attached: str = ""
    screenshots: dict[str, str] = field(default_factory=dict)
    """File of the run's directory to what it shows, or why there is none."""
    image_names: dict[str, str] = field(default_factory=dict)
    attached_ns: int = 0
    """When a snapshot was attached that is too large to be walked through at the end; else 0."""
    last_images: dict[str, str] = field(default_factory=dict)
    """Image ids of the head as last seen running."""
    ways: list[Direct] = field(default_factory=list)
    """The proxies before this run's apps."""
    keeping: Keeping | None = None
    deviations: list[str] = field(default_factory=list)
    dependencies: dict[str, str] = field(default_factory=dict)

    def second_slot(self) -> AbstractContextManager[Lock]:
        """A slot beside the run's own. Raises BusyError at once where none is free."""
        holder = Holder.here(self.run_id, self.request.recipe, f"run {self.request.mode}", pr=self.request.pr)
        holder = holder.model_copy(update={"phase": "the other half"})
        return slot(self.settings.state_dir, self.settings.max_tests, holder, wait_s=0)

    def shielded(self) -> AbstractContextManager[None]:
        """For what must run to its end: signals are only noted meanwhile."""
        return interrupts.shielded()

    @property
    def work_dir(self) -> Path:
        """Everything here is thrown away at the end of the run."""
        return self.run_dir / "work"

    @property
    def trust_dir(self) -> Path:
        return self.work_dir / "trust"

    @property
    def tests_dir(self) -> Path:
        return self.settings.recipes_dir / self.request.recipe

    @property
    def scheme(self) -> Literal["http", "https"]:
        """What the app's users speak with it."""
        return self.ingress.scheme(self.config.scheme)

    def place_cold(self) -> Placement:
        """A place that only this run has."""
        domain = names.cold_domain(self.request.recipe, self.settings.base_domain)
        return replace(self.place(domain), own_stack=names.cold_stack(domain))

    def place(self, domain: str, *, quick: bool = False) -> Placement:
        """Where an app of this run goes: its domain, and a port of its own where nobody stands before it."""
        kind = self.ingress.kind
        port = HTTPS if kind is Ingress.TRAEFIK else self.ports.take(domain)
        recipe, run, instance = self.request.recipe, self.run_id, self.instance
        placed = Placement(
            recipe,
            domain,
            port,
            run,
            instance,
            self.dnsrr,
            quick=quick,
            check_step_s=healthcheck.step_s(os.getloadavg()[0], os.cpu_count() or 1),
            ingress=kind,
            fronted=self.fronted,
            node=self.node,
        )
        if kind is Ingress.TRAEFIK:
            return placed
        if self.scheme != self.config.scheme:
            if "scheme" in self.config.model_fields_set:
                raise InfraError(
                    f'recipe.toml says scheme = "https", and {self.ingress.plain}',
                    hint="run WarmCI on the engine's host, or use the ingress traefik",
                )
            self.deviate(f"ingress direct: http, because {self.ingress.plain}")
        return replace(placed, secure=self.scheme == "https")

    def at_home(self, placement: Placement) -> Placement:
        """The same, its containers knowing themselves and the run's Keycloak by their URLs, and trusting their CA."""
        domains, urls = [placement.domain], [placement.url]
        if self.realm and http.is_mapped(self.realm.provider.domain, self.settings.base_domain):
            domains.append(self.realm.provider.domain)  # a Keycloak that others run has a name of its own
            urls.append(self.realm.provider.url)
        return placement.at_hosts(dict.fromkeys(domains, self.gateway), self._own_ca(urls))

    def _own_ca(self, urls: Sequence[str]) -> OwnCa | None:
        """What the app's containers must trust to reach these; None where any image does."""
        if not any(url.startswith("https:") for url in urls):
            return None
        return self.ingress.own_ca(self.settings, self.trust_dir, self.config.trust)

    def deviate(self, *said: str) -> None:
        known = set(self.deviations)  # a stranger's .env.sample may be wrong in fifty thousand lines
        self.deviations += [text for text in dict.fromkeys(said) if text not in known]

    def require_infrastructure(self) -> None:
        """Raise InfraError when the run's Keycloak or proxy is gone: a red test is then not the recipe's fault."""
        for way in self.ways:
            way.require()
        if self.ingress.api is not None:
            try:
                self.ingress.api.version()
            except InfraError as error:
                raise InfraError(f"Traefik failed during the run: {error.message}", hint=TRAEFIK.reconcile) from error
        if self.realm is not None and (reason := self.realm.unhealthy()):
            raise InfraError(f"Keycloak failed during the run: {reason}", hint="warmci doctor; then retry the run")
