"""The connection to one Docker engine, by the official SDK, and the engine itself. What fails is an InfraError."""

from __future__ import annotations

import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from warmci.base.errors import InfraError, InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator

PARALLEL = 8


class Connection:
    """One engine, addressed by its host URL. Every method raises InfraError when the engine does not answer."""

    def __init__(self, docker_host: str, *, timeout_s: float = 60.0) -> None:
        self.docker_host = docker_host
        if docker_host.startswith("unix://"):
            self._dial().close()  # where nobody listens the SDK would leave its socket open
        try:
            self._client = docker.DockerClient(
                base_url=docker_host, timeout=int(timeout_s), version="auto", max_pool_size=PARALLEL * 2
            )
        except (DockerException, requests.RequestException) as error:
            if isinstance(error.__cause__, InterruptedRunError):
                raise error.__cause__ from None  # the SDK takes whatever is raised meanwhile for the engine's fault
            raise self._silent() from error
        self._api: Any = self._client.api  # the low-level half of the SDK is only partly typed
        if docker_host.startswith("unix://"):
            self._api.trust_env = False  # no proxy is asked for a socket file, and looking for one is a third of a call

    def _dial(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(self.docker_host.removeprefix("unix://"))
        except OSError as error:
            line.close()
            raise self._silent() from error
        return line

    def _silent(self) -> InfraError:
        return InfraError(
            f"no Docker engine answers at {self.docker_host}",
            hint="start it (systemctl start docker), or set docker_host in the settings",
        )

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except NotFound:
            raise
        except (APIError, DockerException, requests.RequestException) as error:
            reason = getattr(error, "explanation", None) or error
            raise InfraError(f"engine: {what}: {reason}", hint="warmci doctor") from error

    def close(self) -> None:
        self._client.close()

    # --- the engine itself

    def ping(self) -> None:
        with self._asking("ping"):
            self._client.ping()

    def process_id(self) -> int | None:
        """The process behind the engine's socket, by SO_PEERCRED (unix(7)); None where it is none of this host's.

        That is the case over TCP, and from inside a container that has only the socket.
        """
        if not self.docker_host.startswith("unix://"):
            return None
        with self._dial() as line:
            credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0]) or None

    def version(self) -> str:
        with self._asking("version"):
            return str(self._client.version()["Version"])

    def data_root(self) -> str:
        """Where this engine keeps its images and volumes, as its own host calls it."""
        with self._asking("info"):
            return str(self._client.info()["DockerRootDir"])

    def is_swarm_manager(self) -> bool:
        with self._asking("info"):
            return bool(self._client.info()["Swarm"].get("ControlAvailable"))

    def node_id(self) -> str:
        """Of this engine in its swarm; empty where it is in none."""
        with self._asking("info"):
            return str(self._client.info()["Swarm"].get("NodeID") or "")

    def nodes(self) -> list[dict[str, Any]]:
        """All of the swarm, as a manager sees them."""
        with self._asking("nodes"):
            return list(self._api.nodes())

    def require_swarm(self) -> None:
        if not self.is_swarm_manager():
            raise InfraError(
                f"the engine at {self.docker_host} is not a swarm manager",
                hint="docker swarm init, or let `warmci demo` start a private engine",
            )

    def init_swarm(self, advertise: str, pool: str) -> None:
        with self._asking("swarm init"):
            self._api.init_swarm(
                advertise_addr=advertise,
                listen_addr=f"{advertise}:2377",
                default_addr_pool=[pool],
                subnet_size=26,
            )
