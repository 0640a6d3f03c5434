"""An engine that is only a source of names: volumes are directories, who uses them is what the test says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from warmci.base.labels import NAMESPACE_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class FakeEngine:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._volumes: dict[str, dict[str, Any]] = {}
        self.deployed: list[dict[str, Any]] = []
        self.running: list[dict[str, Any]] = []
        self.nets: list[dict[str, Any]] = []

    def process_id(self) -> int:
        """In our own network namespace, as a host's engine is."""
        return os.getpid()

    def data_root(self) -> str:
        return str(self.root)

    def make_volume(self, name: str, labels: dict[str, str]) -> dict[str, Any]:
        path = self.root / "volumes" / name / "_data"
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
        found = {"Name": name, "Driver": "local", "Mountpoint": str(path), "Options": None, "Labels": labels}
        return self._volumes.setdefault(name, found)

    def volume(self, stack: str, name: str) -> Path:
        """The directory of a volume that `docker stack deploy` made."""
        self.make_volume(f"{stack}_{name}", {NAMESPACE_LABEL: stack})
        return self.root / "volumes" / f"{stack}_{name}" / "_data"

    def change(self, name: str, **values: object) -> None:
        self._volumes[name] |= values

    def volumes(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        return [item for item in self._volumes.values() if _fits(item["Labels"], labels)]

    def secrets(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        return []

    def configs(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        return []

    def remove_services(self, ids: Sequence[str]) -> None:
        assert not ids

    def remove_volume(self, name: str) -> None:
        del self._volumes[name]

    remove_secrets = remove_configs = remove_networks = kill_containers = remove_services

    def services(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        return [item for item in self.deployed if _fits(item["Spec"]["Labels"], labels)]

    def containers(self, labels: Sequence[str] = (), *, running: bool = False) -> list[dict[str, Any]]:
        found = [item for item in self.running if _fits(item["Labels"], labels)]
        return [item for item in found if item["State"] == "running"] if running else found

    def networks(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        return [{"Id": item["Name"], **item} for item in self.nets if _fits(item["Labels"], labels)]


def _fits(labels: dict[str, str], wanted: Sequence[str]) -> bool:
    return set(wanted) <= {f"{name}={value}" for name, value in labels.items()}


def service(name: str, stack: str = "", source: str = "") -> dict[str, Any]:
    labels = {NAMESPACE_LABEL: stack} if stack else {}
    mounts = [{"Type": "volume", "Source": source, "Target": "/data"}] if source else None
    return {"Spec": {"Name": name, "Labels": labels, "TaskTemplate": {"ContainerSpec": {"Mounts": mounts}}}}


def container(name: str, stack: str = "", source: str = "", state: str = "created") -> dict[str, Any]:
    labels = {NAMESPACE_LABEL: stack} if stack else {}
    mounts = [{"Type": "bind", "Source": source}] if source else []
    return {"Names": [f"/{name}"], "Labels": labels, "Mounts": mounts, "State": state}
