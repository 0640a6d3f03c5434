"""The engine's own volumes of a stack that somebody deployed: where their data lies, and who uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmci.base.errors import InfraError
from warmci.base.labels import INSTANCE_LABEL, NAMESPACE_LABEL
from warmci.base.names import volume_name
from warmci.store.quiesce import refuse_mounted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from warmci.store.restore_journal import RestoreJournal
    from warmci.swarm.engine import Engine


def find_volumes(engine: Engine, stack: str) -> dict[str, dict[str, Any]]:
    """Volumes of a stack, by the engine's name: `<stack>_…`, unless their label says that they are another stack's."""
    return {
        str(volume["Name"]): volume
        for volume in engine.volumes()
        if volume["Name"].startswith(f"{stack}_") and (volume.get("Labels") or {}).get(NAMESPACE_LABEL, stack) == stack
    }


def data_dir(engine: Engine, volume: dict[str, Any]) -> Path:
    """The directory of an ordinary volume. Raises InfraError for any other kind."""
    name = volume_name(str(volume["Name"]))
    hint = f"docker volume inspect {name}"
    if INSTANCE_LABEL in (volume.get("Labels") or {}):
        raise InfraError(f"volume {name} is that of a WarmCI run", hint="warmci recover")
    if volume.get("Driver") != "local" or volume.get("Options"):
        raise InfraError(
            f"volume {name} is not an ordinary one: driver {volume.get('Driver')}, options {volume.get('Options')}",
            hint=hint,
        )
    expected = Path(engine.data_root()) / "volumes" / name / "_data"
    if volume.get("Mountpoint") != str(expected):
        raise InfraError(f"volume {name} lies at {volume.get('Mountpoint')}, not at {expected}", hint=hint)
    if expected.is_symlink() or not expected.is_dir() or expected.resolve() != expected.parent.resolve() / "_data":
        raise InfraError(f"{expected} is not a directory of this host", hint="is the engine on another host?")
    return expected


def refuse_deployed(engine: Engine, stack: str, volumes: Collection[str], paths: Sequence[Path]) -> None:
    """Raise InfraError, saying by what, while the stack is deployed or anything uses its volumes."""
    users = stack_users(engine, stack, volumes, [str(path) for path in paths])
    if users:
        more = f" and {len(users) - 1} more" if len(users) > 1 else ""
        raise InfraError(
            f"{stack} is in use by {users[0]}{more}",
            hint=_way_out(stack, users),
        )
    for path in paths:
        refuse_mounted(path)


def _way_out(stack: str, users: Sequence[str]) -> str:
    """What ends the first user: a container that somebody made by hand is no part of a stack."""
    kind, name = users[0].split(" ")[:2]
    if kind == "container":
        return f"docker rm -f {name}, if it is not wanted; else stop what uses it"
    if kind == "service" and not name.startswith(f"{stack}_"):
        return f"docker service rm {name}, if it is not wanted"
    return f"docker stack rm {stack}; wait until `docker ps -a` is quiet"


def refuse_use(engine: Engine, journal: RestoreJournal) -> None:
    """As refuse_deployed, for the volumes of a restore; some may just be between two names."""
    paths = [volume.path.parent for volume in journal.volumes if volume.path.parent.exists()]
    refuse_deployed(engine, journal.stack, [volume.path.parent.name for volume in journal.volumes], paths)


def stack_users(engine: Engine, stack: str, volumes: Collection[str], paths: Collection[str]) -> list[str]:
    """Services, containers in any state and networks of the stack, and whoever else has its volumes, as "kind name"."""
    label = [f"{NAMESPACE_LABEL}={stack}"]

    def uses(mounts: Sequence[dict[str, Any]] | None) -> bool:
        named = {str(mount.get(key, "")) for mount in mounts or () for key in ("Name", "Source")}
        inside = any(source.startswith(f"{path}/") for source in named for path in paths)
        return inside or bool(named & {*volumes, *paths})

    def name_of(service: dict[str, Any]) -> str:
        return f"service {service['Spec']['Name']}"

    found = [name_of(item) for item in engine.services(label)]
    found += [
        name_of(item)
        for item in engine.services()
        if uses((item["Spec"]["TaskTemplate"].get("ContainerSpec") or {}).get("Mounts"))
    ]
    found += [
        f"container {item['Names'][0].lstrip('/')} ({item['State']})"
        for item in engine.containers()
        if (item.get("Labels") or {}).get(NAMESPACE_LABEL) == stack or uses(item.get("Mounts"))
    ]
    found += [f"network {item['Name']}" for item in engine.networks(label)]
    return list(dict.fromkeys(found))
