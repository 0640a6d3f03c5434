"""The only place that talks to the Docker engine: the API by the official SDK, the CLI only for `stack deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base import process
from warmci.swarm.containers import Containers
from warmci.swarm.images import Images

if TYPE_CHECKING:
    from pathlib import Path


class Engine(Images, Containers):
    """One engine, addressed by its host URL. Every method raises InfraError when the engine does not answer."""

    def deploy_stack(self, stack: str, compose_file: Path, config_dir: Path, *, timeout_s: float = 120) -> str:
        """`docker stack deploy` of a rendered file, with nothing of the recipe in the environment.

        Orphans stay, as with abra (Prune: false); who needs them gone removes them. Returns what the CLI said.
        """
        argv = ["docker", "--host", self.docker_host, "--config", str(config_dir), "stack", "deploy"]
        argv += [
            "--compose-file",
            str(compose_file),
            "--resolve-image",
            "never",
            "--with-registry-auth",
            stack,
        ]
        done = process.run(argv, timeout_s=timeout_s, cwd=compose_file.parent)
        return f"{done.stdout}\n{done.stderr}".strip()
