"""The only place that talks to the Docker engine (API by the official SDK; the CLI only for `stack deploy`)."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from warmci.base import process
from warmci.base.errors import InfraError, RecipeFailedError
from warmci.base.labels import INSTANCE_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_PARALLEL = 8
_POLL_S = 0.1
_CHUNK = 1 << 20
_logger = logging.getLogger(__name__)


class Engine:
    """One engine, addressed by its host URL. Every method raises InfraError when the engine does not answer."""

    def __init__(self, docker_host: str, *, timeout_s: float = 60.0) -> None:
        self.docker_host = docker_host
        try:
            self._client = docker.DockerClient(
                base_url=docker_host, timeout=int(timeout_s), version="auto", max_pool_size=_PARALLEL * 2
            )
        except (DockerException, requests.RequestException) as error:
            raise InfraError(
                f"no Docker engine answers at {docker_host}",
                hint="start it (systemctl start docker), or set docker_host in the settings",
            ) from error
        self._api: Any = self._client.api  # the low-level half of the SDK is only partly typed

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
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.docker_host.removeprefix("unix://"))
                credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            except OSError as error:
                raise InfraError(f"no Docker engine answers at {self.docker_host}", hint="warmci doctor") from error
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

    def require_swarm(self) -> None:
        if not self.is_swarm_manager():
            raise InfraError(
                f"the engine at {self.docker_host} is not a swarm manager",
                hint="docker swarm init, or let `warmci demo` start a private engine",
            )

    def await_leader(self, deadline_s: float) -> None:
        """Return when the swarm has a leader: after a boot its managers first elect one. Raises InfraError."""
        end = time.monotonic() + deadline_s
        while True:
            try:
                self.services()
            except InfraError:
                if time.monotonic() > end:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def init_swarm(self, advertise: str, pool: str) -> None:
        with self._asking("swarm init"):
            self._api.init_swarm(
                advertise_addr=advertise,
                listen_addr=f"{advertise}:2377",
                default_addr_pool=[pool],
                subnet_size=26,
            )

    # --- images

    def has_image(self, tag: str) -> bool:
        with self._asking(f"image {tag}"):
            try:
                self._client.images.get(tag)
            except ImageNotFound:
                return False
            return True

    def images(self) -> list[dict[str, Any]]:
        with self._asking("images"):
            return list(self._api.images())

    def remove_image(self, image: str) -> None:
        """Never by force: an image that anything uses, or that has further names, stays and is an InfraError."""
        with self._asking(f"image {image}"):
            try:
                self._api.remove_image(image, force=False)
            except ImageNotFound:
                return

    def import_image(self, tar: Path, tag: str, changes: Sequence[str]) -> None:
        repository, _, version = tag.rpartition(":")
        with self._asking(f"import of {tag}"), tar.open("rb") as file:
            # The SDK announces chunks, so chunks it must be: requests sends a file object in one piece.
            chunks = iter(lambda: file.read(_CHUNK), b"")
            self._api.import_image(chunks, repository=repository, tag=version, changes=list(changes))

    def pull_image(self, reference: str, tag: str) -> None:
        with self._asking(f"pull of {reference}"):
            image = self._client.images.pull(reference)
            repository, _, version = tag.rpartition(":")
            image.tag(repository, version)

    # --- objects of a stack or a run

    def services(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        with self._asking("services"):
            return list(self._api.services(filters={"label": list(labels)}))

    def tasks(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        with self._asking("tasks"):
            return list(self._api.tasks(filters={"label": list(labels)}))

    def containers(self, labels: Sequence[str] = (), *, running: bool = False) -> list[dict[str, Any]]:
        with self._asking("containers"):
            return list(self._api.containers(all=not running, filters={"label": list(labels)}))

    def networks(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        with self._asking("networks"):
            return list(self._api.networks(filters={"label": list(labels)}))

    def volumes(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        with self._asking("volumes"):
            return list(self._api.volumes(filters={"label": list(labels)})["Volumes"] or [])

    def make_volume(self, name: str, labels: dict[str, str]) -> dict[str, Any]:
        """An ordinary volume of the engine's own, as `docker stack deploy` makes them."""
        with self._asking(f"volume {name}"):
            return dict(self._api.create_volume(name, driver="local", labels=labels))

    def secrets(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        with self._asking("secrets"):
            return list(self._api.secrets(filters={"label": list(labels)}))

    def configs(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        with self._asking("configs"):
            return list(self._api.configs(filters={"label": list(labels)}))

    def image_digest(self, image: str) -> str:
        """The id of the image that a reference names here, or the reference where it is absent."""
        with self._asking(f"image {image}"):
            try:
                return str(self._api.inspect_image(image)["Id"])
            except NotFound:
                return image

    def inspect_container(self, container: str) -> dict[str, Any] | None:
        with self._asking(f"container {container[:12]}"):
            try:
                return dict(self._api.inspect_container(container))
            except NotFound:
                return None

    def gateway(self, network: str = "docker_gwbridge") -> str:
        """Address under which containers reach this host's published ports."""
        with self._asking(f"network {network}"):
            try:
                found = self._api.inspect_network(network)
            except NotFound:
                raise InfraError(f"the engine has no network {network}", hint="docker swarm init makes it") from None
        return str(found["IPAM"]["Config"][0]["Gateway"])

    def create_volume(self, name: str, path: Path, labels: dict[str, str]) -> None:
        """A volume on a directory of ours. The engine answers 201 with the OLD options for a name in use: refused."""
        options = {"type": "none", "o": "bind", "device": str(path)}
        with self._asking(f"volume {name}"):
            made = self._api.create_volume(name, driver="local", driver_opts=options, labels=labels)
        if made.get("Options") != options or made.get("Labels") != labels:
            raise InfraError(
                f"volume {name} exists already and is not ours",
                hint=f"once its data is saved or not wanted: docker volume rm {name}",
            )

    def remove_volume(self, name: str, *, deadline_s: float = 30.0) -> None:
        end = time.monotonic() + deadline_s
        while True:
            try:
                with self._asking(f"volume {name}"):
                    self._api.remove_volume(name)
            except NotFound:
                return
            except InfraError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return

    def create_secret(self, name: str, value: str, labels: dict[str, str]) -> None:
        with self._asking(f"secret {name}"):
            self._api.create_secret(name, value.encode(), labels)

    def ensure_overlay(self, name: str) -> None:
        """The shared network that recipes call external (`proxy`); stays, as on a production host."""
        with self._asking(f"network {name}"):
            if not any(found["Name"] == name for found in self._api.networks(names=[name])):
                self._api.create_network(name, driver="overlay", attachable=True, labels={INSTANCE_LABEL: "shared"})

    def _each(self, function: Callable[[str], object], ids: Sequence[str]) -> None:
        def quiet(item: str) -> None:
            try:
                with self._asking(f"removal of {item[:12]}"):
                    function(item)
            except NotFound:
                pass

        if ids:
            with ThreadPoolExecutor(_PARALLEL) as pool:
                list(pool.map(quiet, ids))

    def remove_services(self, ids: Sequence[str]) -> None:
        self._each(self._api.remove_service, ids)

    def kill_containers(self, ids: Sequence[str]) -> None:
        """With their anonymous volumes; named ones stay."""
        self._each(lambda item: self._api.remove_container(item, force=True, v=True), ids)

    def stop_containers(self, grace_s: Mapping[str, int]) -> None:
        """Graceful: each container's own signal, and its seconds until it is killed."""
        self._each(lambda item: self._api.stop(item, timeout=grace_s[item]), list(grace_s))

    @contextmanager
    def exit_codes(self, labels: Sequence[str]) -> Iterator[dict[str, int]]:
        """Exit code by id of each container that ends within the block; heard live, the engine forgets in seconds."""
        codes: dict[str, int] = {}
        filters = {"type": "container", "event": "die", "label": list(labels)}
        with self._asking("events"):
            stream = self._api.events(decode=True, filters=filters)

        def pump() -> None:
            with suppress(Exception):  # the stream is closed under the reader; what it did not hear counts as killed
                for event in stream:
                    codes[event["Actor"]["ID"]] = int(event["Actor"]["Attributes"].get("exitCode", -1))

        threading.Thread(target=pump, daemon=True, name="engine-exits").start()
        try:
            yield codes
        finally:
            stream.close()

    def remove_networks(self, ids: Sequence[str]) -> None:
        self._each(self._api.remove_network, ids)

    def remove_secrets(self, ids: Sequence[str]) -> None:
        self._each(self._api.remove_secret, ids)

    def remove_configs(self, ids: Sequence[str]) -> None:
        self._each(self._api.remove_config, ids)

    # --- looking into running services

    def service_containers(self, stack: str, service: str, *, running: bool = True) -> list[dict[str, Any]]:
        return self.containers([f"com.docker.swarm.service.name={stack}_{service}"], running=running)

    def exec_in_service(self, stack: str, service: str, argv: Sequence[str]) -> tuple[int, str]:
        """Run argv in the service's newest running container: (exit code, output)."""
        found = sorted(self.service_containers(stack, service), key=lambda item: int(item["Created"]))
        if not found:
            raise RecipeFailedError(f"service {service} of {stack} has no running container to exec in")
        with self._asking(f"exec in {stack}_{service}"):
            run = self._api.exec_create(found[-1]["Id"], list(argv))
            output = self._api.exec_start(run["Id"])
            return int(self._api.exec_inspect(run["Id"])["ExitCode"]), output.decode(errors="replace")

    def container_logs(self, container: str, tail: int) -> str:
        try:
            with self._asking(f"logs of {container[:12]}"):
                return str(self._api.logs(container, tail=tail).decode(errors="replace"))
        except (NotFound, InfraError):
            return ""

    def service_logs(self, stack: str, service: str, tail: int) -> str:
        found = sorted(self.service_containers(stack, service, running=False), key=lambda item: int(item["Created"]))
        return "\n".join(self.container_logs(item["Id"], tail) for item in found[-2:])

    @contextmanager
    def events(self, on_event: Callable[[], None]) -> Iterator[None]:
        """Call on_event for each engine event of services and containers while the block runs."""
        stream = self._api.events(decode=False, filters={"type": ["container", "service"]})

        def pump() -> None:
            try:
                for _ in stream:
                    on_event()
            except Exception as error:  # noqa: BLE001  (the stream is closed under the reader; polling goes on)
                _logger.debug("event stream ended: %s", error)

        thread = threading.Thread(target=pump, daemon=True, name="engine-events")
        thread.start()
        try:
            yield
        finally:
            stream.close()

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
