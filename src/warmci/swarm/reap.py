"""Deletes what a run left in the engine, found by its labels alone; what carries other labels is never touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base.labels import INSTANCE_LABEL, NAMESPACE_LABEL, RUN_LABEL
from warmci.swarm.undeploy import undeploy_stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmci.swarm.engine import Engine


def remove_objects(engine: Engine, instance: str, run: str, *, graceful: bool = False) -> list[str]:
    """Remove stacks, volumes, secrets, configs and networks of one run of this instance; returns what there was."""
    labels = [f"{INSTANCE_LABEL}={instance}", f"{RUN_LABEL}={run}"]
    listed = [*engine.services(labels), *engine.configs(labels)]
    stacks = {str(item["Spec"]["Labels"].get(NAMESPACE_LABEL, "")) for item in listed}
    stacks |= {str((item["Labels"] or {}).get(NAMESPACE_LABEL, "")) for item in engine.networks(labels)}
    removed = [f"stack {stack}" for stack in sorted(stacks) if stack]
    for stack in sorted(stacks):
        if stack:
            undeploy_stack(engine, stack, graceful=graceful)
    return removed + _remove_volumes_and_secrets(engine, labels, "")


def remove_stack(engine: Engine, labels: Mapping[str, str], stack: str) -> None:
    """Remove one stack with its volumes and secrets; only those with these labels."""
    undeploy_stack(engine, stack, graceful=False)
    _remove_volumes_and_secrets(engine, [f"{key}={value}" for key, value in labels.items()], f"{stack}_")


def _remove_volumes_and_secrets(engine: Engine, labels: list[str], prefix: str) -> list[str]:
    removed = []
    for volume in engine.volumes(labels):
        if volume["Name"].startswith(prefix):
            removed.append(f"volume {volume['Name']}")
            _remove_volume_users(engine, volume["Name"])
            engine.remove_volume(volume["Name"])
    secrets = [item for item in engine.secrets(labels) if item["Spec"]["Name"].startswith(prefix)]
    removed += [f"secret {item['Spec']['Name']}" for item in secrets]
    engine.remove_secrets([item["ID"] for item in secrets])
    return removed


def _remove_volume_users(engine: Engine, volume: str) -> None:
    """Containers of a stack whose services are gone already no longer tell their run; they hold its volume still."""
    users = [
        item["Id"]
        for item in engine.containers([NAMESPACE_LABEL])
        if any(mount.get("Name") == volume for mount in item.get("Mounts", []))
    ]
    engine.kill_containers(users)
