"""What the engine keeps of a stack or a run, found by labels: listed, made, removed."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from docker.errors import NotFound

from warmci.base.errors import InfraError
from warmci.base.labels import INSTANCE_LABEL
from warmci.swarm.connection import PARALLEL, Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_POLL_S = 0.1
_RACE_S = 15.0
# Somebody else (swarm, mostly) removes it just now, or has not yet let go of what it used: waited for, no failure.
_RACES = re.compile(r"already in progress|is in use by the following service|update out of sequence", re.IGNORECASE)


class Objects(Connection):
    """Services, tasks, containers, networks, volumes, secrets and configs."""

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

    def services(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        with self._asking("services"):
            return list(self._api.services(filters={"label": list(labels)}))

    def tasks(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        with self._asking("tasks"):
            return list(self._api.tasks(filters={"label": list(labels)}))

    def containers(self, labels: Sequence[str] = (), *, running: bool = False) -> list[dict[str, Any]]:
        with self._asking("containers"):
            return list(self._api.containers(all=not running, filters={"label": list(labels)}))

    def unhealthy(self, labels: Sequence[str]) -> frozenset[str]:
        """Running containers that their health check has given up; swarm ends them, in their grace period's time."""
        with self._asking("containers"):
            found = self._api.containers(filters={"label": list(labels), "health": "unhealthy"})
        return frozenset(str(item["Id"]) for item in found)

    def networks(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        with self._asking("networks"):
            return list(self._api.networks(filters={"label": list(labels)}))

    def network(self, name: str) -> dict[str, Any] | None:
        """One in full, by name or id; None where it is absent."""
        with self._asking(f"network {name}"):
            try:
                return dict(self._api.inspect_network(name))
            except NotFound:
                return None

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

    def create_volume(self, name: str, path: Path, labels: dict[str, str]) -> None:
        """A volume on a directory of ours. The engine answers 201 with the OLD options for a name in use: refused.

        Not one that the engine made by itself for a task of ours that was already to end: our labels, and no options.
        """
        options = {"type": "none", "o": "bind", "device": str(path)}

        def make() -> dict[str, Any]:
            with self._asking(f"volume {name}"):
                return dict(self._api.create_volume(name, driver="local", driver_opts=options, labels=labels))

        made = make()
        if not made.get("Options") and labels.items() <= (made.get("Labels") or {}).items():
            with suppress(InfraError):  # still in use, so it is told below
                self.remove_volume(name, deadline_s=_RACE_S)
            made = make()
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

    def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> bool:
        """Whether it was made: the swarm makes each name once, whichever of its managers is asked."""
        try:
            with self._asking(f"config {name}"):
                self._api.create_config(name, data, dict(labels))
        except InfraError as error:
            if "already exists" in error.message:
                return False
            raise
        return True

    def ensure_overlay(self, name: str) -> None:
        """The shared network that recipes call external (`proxy`); stays, as on a production host."""
        with self._asking(f"network {name}"):
            if not any(found["Name"] == name for found in self._api.networks(names=[name])):
                self._api.create_network(name, driver="overlay", attachable=True, labels={INSTANCE_LABEL: "shared"})

    def _each(self, function: Callable[[str], object], ids: Sequence[str]) -> None:
        def quiet(item: str) -> None:
            end = time.monotonic() + _RACE_S
            while True:
                try:
                    with self._asking(f"removal of {item[:12]}"):
                        function(item)
                except NotFound:
                    return
                except InfraError as error:
                    if not _RACES.search(error.message) or time.monotonic() > end:
                        raise
                else:
                    return
                time.sleep(_POLL_S)

        if ids:
            with ThreadPoolExecutor(PARALLEL) as pool:
                list(pool.map(quiet, ids))

    def scale(self, service: str, replicas: int) -> None:
        """Another number of replicas of a replicated service; all else of its spec stays, byte for byte.

        Not by the SDK's update_service, which fills in what a spec leaves out: that makes another task of it.
        """

        def post(name: str) -> None:
            found = self._api.inspect_service(name)
            spec = {**found["Spec"], "Mode": {"Replicated": {"Replicas": replicas}}}
            url = f"{self._api.base_url}/v{self._api.api_version}/services/{found['ID']}/update"
            version = {"version": found["Version"]["Index"]}
            answer = self._api.post(url, params=version, json=spec, timeout=self._api.timeout)
            if not answer.ok:
                raise InfraError(
                    f"engine: service {name} cannot be scaled: {answer.text.strip()}", hint="warmci doctor"
                )

        self._each(post, [service])

    def remove_services(self, ids: Sequence[str]) -> None:
        self._each(self._api.remove_service, ids)

    def kill_containers(self, ids: Sequence[str]) -> None:
        """With their anonymous volumes; named ones stay."""
        self._each(lambda item: self._api.remove_container(item, force=True, v=True), ids)

    def stop_containers(self, grace_s: Mapping[str, int]) -> None:
        """Graceful: each container's own signal, and its seconds until it is killed."""
        self._each(lambda item: self._api.stop(item, timeout=grace_s[item]), list(grace_s))

    def remove_networks(self, ids: Sequence[str]) -> None:
        self._each(self._api.remove_network, ids)

    def remove_secrets(self, ids: Sequence[str]) -> None:
        self._each(self._api.remove_secret, ids)

    def remove_configs(self, ids: Sequence[str]) -> None:
        self._each(self._api.remove_config, ids)

    def gateway(self, network: str = "docker_gwbridge") -> str:
        """Address under which containers reach this host's published ports."""
        found = self.network(network)
        if found is None:
            raise InfraError(f"the engine has no network {network}", hint="docker swarm init makes it")
        return str(found["IPAM"]["Config"][0]["Gateway"])

    def addresses(self, network: str = "docker_gwbridge") -> dict[str, str]:
        """Container id to its address on the bridge that swarm joins every task to, but those of internal networks."""
        with self._asking(f"network {network}"):
            found = self._api.inspect_network(network).get("Containers") or {}
        return {key: str(item["IPv4Address"]).partition("/")[0] for key, item in found.items() if item["IPv4Address"]}
