"""The live Keycloak's stack on the engine: deployed on a generation's data, looked at, taken down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from warmci.base import disk, fs, names
from warmci.base.errors import InfraError
from warmci.base.labels import COMMIT_LABEL, INSTANCE_LABEL, LIVE_RUN, NAMESPACE_LABEL, RUN_LABEL
from warmci.base.models import Ingress
from warmci.base.ports import Ports
from warmci.base.state import check_space
from warmci.live import keycloak_json
from warmci.live.host_traefik import HTTPS
from warmci.live.keycloak_json import DeploymentRecord, LiveRecord
from warmci.recipe.config import load_config
from warmci.recipe.render import Placement, has_ipvs
from warmci.recipe.repository import Repository, clone
from warmci.sso import keycloak_app
from warmci.store.copying import copy_volumes
from warmci.store.manifest import compare, new_manifest
from warmci.store.tree import walk
from warmci.swarm import nodes, reap
from warmci.swarm.undeploy import undeploy_stack

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.settings import Settings
    from warmci.live.ingress import Chosen
    from warmci.recipe.own_ca import OwnCa
    from warmci.report.console import Console
    from warmci.swarm.engine import Engine

_RESERVE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class LiveStack:
    engine: Engine
    settings: Settings
    instance: str
    console: Console
    ingress: Chosen
    """Behind Traefik it is at https://DOMAIN, else it publishes a port, for it outlives every run's own proxy."""

    @property
    def domain(self) -> str:
        return names.live_domain(self.settings.base_domain)

    def runs_as(self, record: LiveRecord) -> bool:
        """Whether what is deployed is what the record names: its commit, on its generation's data, at our URL."""
        labels = self._labels
        commits = {item["Spec"]["Labels"].get(COMMIT_LABEL) for item in self.engine.services(labels)}
        home = f"{keycloak_json.generation_dir(self.settings, record.generation)}/"
        devices = [str((item.get("Options") or {}).get("device", "")) for item in self.engine.volumes(labels)]
        as_recorded = commits == {record.commit} and all(device.startswith(home) for device in devices)
        scheme = "https" if self._behind_traefik else "http"
        return as_recorded and record.domain == self.domain and httpx.URL(record.url).scheme == scheme

    @property
    def _behind_traefik(self) -> bool:
        return self.ingress.kind is Ingress.TRAEFIK

    @property
    def _labels(self) -> list[str]:
        return [f"{INSTANCE_LABEL}={self.instance}", f"{RUN_LABEL}={LIVE_RUN}"]

    def deploy(
        self, generation: Path, commit: str, kept: DeploymentRecord | None, url: str = ""
    ) -> tuple[keycloak_app.Provider, DeploymentRecord]:
        """Deploy the recipe's commit on a generation's data and wait until it serves; on the port of `url` again.

        Returns it with its administrator's access, and what its next deployment needs.
        """
        work = generation / "recipe"
        repository = self._repository(work)
        secrets = kept.plain_secrets() if kept else {}
        env_commit = kept.env_commit if kept else commit
        ports = Ports(self.settings.locks_dir, self.settings.ports)
        try:
            port = (
                HTTPS if self._behind_traefik else ports.take(self.domain, first=httpx.URL(url).port if url else None)
            )
            serving, deployment = keycloak_app.deploy(
                self.engine,
                self.settings,
                keycloak_app.Site(self._placement(port, work), generation / "volumes", secrets, env_commit),
                repository,
                commit,
                work_dir=work,
                announce=lambda kind, name: self.console.progress(f"{kind} {name}"),
                console=self.console,
            )
        finally:
            ports.release()
        made = {"env_commit": env_commit, "secrets": deployment.secrets}
        return serving, DeploymentRecord.model_validate(made)

    def provide(self, generation: Path, commit: str, kept: DeploymentRecord, url: str) -> None:
        """Have the images of a commit here, while the one at `url` still serves."""
        work = generation / "recipe"
        placement = self._placement(httpx.URL(url).port or 0, work)
        site = keycloak_app.Site(placement, generation / "volumes", env_commit=kept.env_commit)
        keycloak_app.provide(self.engine, self.settings, site, self._repository(work), commit, console=self.console)

    def _repository(self, work: Path) -> Repository:
        if (work / "repository").is_dir():
            return Repository(keycloak_app.RECIPE, work / "repository")
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        return clone(self.settings, keycloak_app.RECIPE, work)

    def _placement(self, port: int, work: Path) -> Placement:
        mode = self.settings.endpoint_mode
        return Placement(
            keycloak_app.RECIPE,
            self.domain,
            port,
            LIVE_RUN,
            self.instance,
            dnsrr=mode == "dnsrr" or (mode == "auto" and not has_ipvs()),
            ingress=self.ingress.kind,
            hosts={self.domain: self.engine.gateway()},
            own_ca=self._own_ca(work),
            node=nodes.home(self.engine),
        )

    def _own_ca(self, work: Path) -> OwnCa | None:
        """For its back channel to apps, which may speak https whatever Keycloak itself does."""
        ways = load_config(self.settings.recipes_dir, keycloak_app.RECIPE).trust
        return self.ingress.own_ca(self.settings, work / "trust", ways)

    def undeploy(self, *, keep_data: bool) -> list[str]:
        """Take it down, whatever of it is there; with keep_data, services that had to be killed all the same."""
        services = self.engine.services(self._labels) if keep_data else []
        stacks = {str(item["Spec"]["Labels"][NAMESPACE_LABEL]) for item in services}
        killed = [name for stack in sorted(stacks) for name in undeploy_stack(self.engine, stack, graceful=True)]
        reap.remove_objects(self.engine, self.instance, LIVE_RUN)
        return killed


def require_room(generation: Path) -> None:
    """Raise InfraError "no space" before anything is stopped, if there is none for a copy of the generation's data."""
    volumes = generation / "volumes"
    size = disk.sizes([volumes])[volumes]  # it is written to while we look: an estimate
    needed = size.bytes * 11 // 10 + _RESERVE_BYTES
    check_space(generation, "a copy of Keycloak's data", bytes_needed=needed, inodes_needed=size.inodes + 64)


def copy_data(old: Path, new: Path) -> None:
    """Copy a generation's volumes, prove the copy against the original, and make it durable."""
    target = new / "volumes"
    target.mkdir(mode=0o700, parents=True)
    found = sorted(path.name for path in (old / "volumes").iterdir())
    copy_volumes(old / "volumes", target, found)
    entries = {name: tuple(walk(old / "volumes" / name, read_data=True)) for name in found}
    wrong = compare(new_manifest(keycloak_app.RECIPE, new.name, entries), target, read_data=True)
    if wrong:
        raise InfraError(f"the copy of Keycloak's data differs: {wrong[0]}", hint="is the disk sound? see dmesg")
    fs.sync_file_system(target)
