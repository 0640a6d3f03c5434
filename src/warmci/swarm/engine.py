"""The only place that talks to the Docker engine: the API by the official SDK, the CLI only for `stack deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base import process
from warmci.swarm.containers import Containers
from warmci.swarm.images import Images

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.docker_cli import DockerCli

_KNOWS_DETACH = (26, 0)


class Engine(Images, Containers):
    """One engine, addressed by its host URL. Every method raises InfraError when the engine does not answer."""

    def deploy_stack(
        self, cli: DockerCli, stack: str, compose_file: Path, config_dir: Path, *, timeout_s: float = 120
    ) -> str:
        """`docker stack deploy` of a rendered file, with an empty environment: a variable that the recipe names
        without a value would else be given ours.

        Orphans stay, as with abra (Prune: false); who needs them gone removes them. Returns what the CLI said.
        """
        argv = [str(cli.path), "--host", self.docker_host, "--config", str(config_dir), "stack", "deploy"]
        argv += [
            "--compose-file",
            str(compose_file),
            "--resolve-image",
            "never",
            "--with-registry-auth",
            *(["--detach=true"] if cli.version >= _KNOWS_DETACH else []),
            stack,
        ]
        done = process.run(argv, timeout_s=timeout_s, cwd=compose_file.parent, bare=True)
        return f"{done.stdout}\n{done.stderr}".strip()
