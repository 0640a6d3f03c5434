"""The live-warm Traefik's stack: deployed from its recipe with our certificate, asked whether it serves, taken down."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warmci.base import authority, docker_cli, fs, names
from warmci.base.errors import InfraError, WarmciError
from warmci.base.labels import COMMIT_LABEL, INGRESS_RUN, INSTANCE_LABEL, RUN_LABEL
from warmci.base.models import Ingress
from warmci.live.ingress_json import IngressRecord
from warmci.live.traefik_api import TraefikApi
from warmci.recipe.config import filled, load_config
from warmci.recipe.render import Placement, Rendered, has_ipvs, read_env, render
from warmci.recipe.repository import Repository, clone
from warmci.swarm import nodes, reap
from warmci.swarm.deployment import Deployment
from warmci.swarm.evidence import last_line
from warmci.swarm.pull import provide

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from warmci.base.settings import Settings
    from warmci.recipe.compose_text import Document
    from warmci.recipe.envfile import EnvFile
    from warmci.report.console import Console
    from warmci.swarm.engine import Engine

RECIPE = "traefik"
USER = "warmci"
_SOCKET = "/var/run/docker.sock"
_ALLOWED = (f"bind:{_SOCKET}",)
"""What makes a Traefik one; the operator asked for it by `warmci ingress reconcile`."""
_OPTIONS = {"compose.wildcard.yml": {"WILDCARDS_ENABLED": "1"}, "compose.basicauth.yml": {"BASIC_AUTH": "1"}}
"""Optional compose files of the recipe, and what switches them on: our certificate, and who may ask the API."""
_VERSIONS = ("SECRET_WILDCARD_CERT_VERSION", "SECRET_WILDCARD_KEY_VERSION", "SECRET_USERSFILE_VERSION")
_POLL_S = 0.2
_LOG_LINES = 25


@dataclass(frozen=True)
class TraefikStack:
    engine: Engine
    settings: Settings
    instance: str
    console: Console

    @property
    def domain(self) -> str:
        return names.ingress_domain(self.settings.base_domain)

    @property
    def _labels(self) -> list[str]:
        return [f"{INSTANCE_LABEL}={self.instance}", f"{RUN_LABEL}={INGRESS_RUN}"]

    def runs_as(self, record: IngressRecord) -> bool:
        """Whether what is deployed is what the record names, with the certificate that is to be served now."""
        commits = {item["Spec"]["Labels"].get(COMMIT_LABEL) for item in self.engine.services(self._labels)}
        same = record.fingerprint == authority.served(self.settings).fingerprint
        return commits == {record.commit} and record.domain == self.domain and same

    def fetch(self, home: Path, commit: str) -> None:
        """Have the recipe's commit and its images here: before anything is taken down, for neither need come."""
        if not (home / "recipe" / "repository").is_dir() or not self._repository(home).contains(commit):
            fresh = home / "recipe.new"
            fs.remove_tree(fresh)
            fresh.mkdir(mode=0o700, parents=True)
            clone(self.settings, RECIPE, fresh)
            fs.remove_tree(home / "recipe")
            fs.rename_durable(fresh, home / "recipe")
        provide(
            self.engine,
            self._rendered(self._repository(home), commit).images.values(),
            state_dir=self.settings.state_dir,
            run=INGRESS_RUN,
            deadline_s=self.settings.pull_timeout_s,
            on_change=self.console.progress,
        )

    def _repository(self, home: Path) -> Repository:
        return Repository(RECIPE, home / "recipe" / "repository")

    def deploy(self, home: Path, commit: str, password: SecretStr) -> IngressRecord:
        """Deploy a commit that is here and wait until it serves. Raises what the deployment raises, or InfraError."""
        served = authority.served(self.settings)
        self.console.redact.add(password.get_secret_value())
        rendered = self._rendered(self._repository(home), commit)
        work = home / "work"
        fs.remove_tree(work)
        (work / "volumes").mkdir(mode=0o700, parents=True)
        deployment = Deployment(self.engine, self._placement(), work, {}, work / "volumes", say=self.console.progress)
        deployment.claim()
        fixed = {
            "ssl_cert": served.certificate,
            "ssl_key": served.key.get_secret_value(),
            "usersfile": _htpasswd(password.get_secret_value()),
        }
        deployment.deploy(rendered, fixed)
        deployment.wait(self.settings.deploy_timeout_s, self.console.progress)
        facts = {"version": rendered.version, "commit": commit, "fingerprint": served.fingerprint}
        record = IngressRecord.model_validate({"domain": self.domain, "password": password, **facts})
        self._await(record)
        return record

    def _placement(self) -> Placement:
        mode = self.settings.endpoint_mode
        dnsrr = mode == "dnsrr" or (mode == "auto" and not has_ipvs())
        return Placement(
            RECIPE,
            self.domain,
            443,
            INGRESS_RUN,
            self.instance,
            dnsrr,
            ingress=Ingress.TRAEFIK,
            is_proxy=True,
            node=nodes.home(self.engine),
        )

    def _rendered(self, repository: Repository, commit: str) -> Rendered:
        config, placement = load_config(self.settings.recipes_dir, RECIPE), self._placement()
        tree = repository.checkout(commit)
        env = read_env(tree, placement, filled(config.env, placement.facts))
        _switch_on(env, tree)
        rendered = render(
            tree, commit, env, placement, (*config.allow, *_ALLOWED), docker_cli.find(self.settings.docker_cli)
        )
        _mount_socket(rendered.document, self.settings.docker_host)
        return rendered

    def _await(self, record: IngressRecord) -> None:
        """Its own router, certificate and swarm provider are those of every app: so ask for its API by its name."""
        end = time.monotonic() + self.settings.deploy_timeout_s
        while (reason := self.unhealthy(record)) is not None:
            if time.monotonic() > end:
                log = last_line(self.engine.service_logs(names.stack_name(self.domain), "app", _LOG_LINES))
                raise InfraError(
                    f"Traefik does not route its own {record.url}: {reason}; its log: {log or 'nothing'}",
                    hint="Traefik before 3.6.1 does not understand engines from 29 on; see docs/ingress.md",
                )
            time.sleep(_POLL_S)

    def unhealthy(self, record: IngressRecord) -> str | None:
        """Why apps can't be reached through it; None when they can."""
        try:
            TraefikApi.of(self.settings, record).version()
        except WarmciError as error:
            return error.message
        return None

    def undeploy(self) -> list[str]:
        """Take it down, whatever of it is there; returns what there was."""
        return reap.remove_objects(self.engine, self.instance, INGRESS_RUN)


def _switch_on(env: EnvFile, tree: Path) -> None:
    """The recipe's own options for a wildcard certificate and a password, where it has them."""
    files = [name for name in env.values.get("COMPOSE_FILE", "").split(":") if name] or ["compose.yml"]
    for name, switches in _OPTIONS.items():
        if (tree / name).is_file():
            files += [name] if name not in files else []
            env.values.update(switches)
    env.values["COMPOSE_FILE"] = ":".join(files)
    for name in _VERSIONS:
        if not env.values.get(name):
            env.values[name] = "v1"


def _mount_socket(document: Document, docker_host: str) -> None:
    """The engine's own socket, wherever a private engine has it."""
    path = docker_host.removeprefix("unix://")
    if path == docker_host:
        return  # over TCP: the engine's host has its socket at the usual place
    for service in document["services"].values():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and volume.get("source") == _SOCKET:
                volume["source"] = path


def _htpasswd(password: str) -> str:
    """A line as `htpasswd -s` writes it: the password is long and random, so a quick hash is enough."""
    digest: Any = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return f"{USER}:{{SHA}}{base64.b64encode(digest).decode()}\n"
