"""Taking a stack down by the engine API: services, containers, networks, configs, secrets, in this order."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from warmci.base.errors import InfraError, WarmciError
from warmci.base.labels import NAMESPACE_LABEL
from warmci.swarm import addresses, by_zero
from warmci.swarm.timestamps import moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.swarm.engine import Engine

_GONE_DEADLINE_S = 60.0
_RELEASE_DEADLINE_S = 20.0
"""Ten times what an engine's agent takes; a node that is away would never say that its tasks have ended."""
_POLL_S = 0.02
_TASK_HISTORY = 5
"""Tasks of a slot that swarm remembers where nobody set another number (docker swarm update --task-history-limit)."""
_SETTLED_S = 2.0
"""Swarm forgets old tasks a quarter of a second after a task was made or has ended (swarmkit, task reaper)."""
_UNDER_WAY = {"updating", "rollback_started"}
_REST_S, _REST_POLL_S = 1.5, 0.1
"""Less than the 2 s after which swarm stops what still runs: that is ours to do, and to see how it ends."""
_KILLED = 137
_EVENT_WAIT_S = 3.0


def undeploy_stack(
    engine: Engine,
    stack: str,
    *,
    graceful: bool,
    graceful_with_data: bool = False,
    without_containers: Callable[[], None] = lambda: None,
) -> list[str]:
    """Services first (nothing is restarted), then containers, then networks, then configs.

    Ten times faster than `docker stack rm` (measured: 0.3 s instead of 5.8 s) for a stack with networks of its own
    only; with a shared one it takes the 2 to 3 s that swarm needs to give the addresses there back. Raises InfraError,
    naming what is left, when containers and networks are not gone within a minute.

    without_containers: called once, when no container is left and none can come any more.
    """
    label = [f"{NAMESPACE_LABEL}={stack}"]
    services = engine.services(label)
    _let_rest(engine, label, services)
    engine.remove_services([service["ID"] for service in services])
    killed: list[str] = []
    if graceful:
        killed = _stop_gracefully(engine, label, services)
    elif graceful_with_data:
        with_data = [item for item in services if _has_volume(item)]
        killed = _stop_gracefully(engine, label, with_data, alone=True) if with_data else []
    began, is_still, wrong = time.monotonic(), False, None
    while True:
        tasks = engine.tasks(label)  # first: what has ended before there is no container makes none any more
        containers = engine.containers(label)
        engine.kill_containers([item["Id"] for item in containers])
        networks = engine.networks(label)
        passed_s = time.monotonic() - began
        held = passed_s < _RELEASE_DEADLINE_S and _shared_addresses_held(tasks, networks)
        if not containers and not held:
            _try_networks(engine, networks)
        is_gone = not containers and not networks
        if not is_still and (is_gone or (tasks and not containers and all(map(_has_ended, tasks)))):
            is_still, at = True, time.monotonic()
            try:
                without_containers()
            except WarmciError as error:
                wrong = error  # the rest goes all the same
            began += time.monotonic() - at
        if is_gone:
            break
        if passed_s > _GONE_DEADLINE_S:
            left = [item["Names"][0] for item in containers] + [item["Name"] for item in networks]
            raise InfraError(
                f"{stack} is not gone after {_GONE_DEADLINE_S:.0f} s: {', '.join(left)}", hint="warmci recover"
            )
        time.sleep(_POLL_S)
    engine.remove_configs([item["ID"] for item in engine.configs(label)])
    engine.remove_secrets([item["ID"] for item in engine.secrets(label)])
    if wrong is not None:
        raise wrong
    return killed


def _let_rest(engine: Engine, label: list[str], services: list[dict[str, Any]]) -> None:
    """Give a service that crashes again and again no new task, and let swarm forget the old ones, before it is removed.

    An engine dies when it forgets a task in the instant in which the task's service is removed (seen on 20.10.24 in
    swarmkit's SetServiceTasksRemove, once in 100 to 300 runs of which half were red; later engines look first). It
    forgets none while nothing of a service begins or ends: one that has run for a while goes at once.
    """
    tasks = engine.tasks(label)
    ended = Counter(str(task["ServiceID"]) for task in tasks if _has_ended(task))
    restless = {
        str(service["ID"]): str(service["Spec"]["Name"])
        for service in services
        if ended[str(service["ID"])] >= _TASK_HISTORY - 1
        and "Replicated" in service["Spec"]["Mode"]
        and not _is_settled(service, [task for task in tasks if task["ServiceID"] == service["ID"]])
    }
    with suppress(InfraError):  # a service that cannot be scaled is removed all the same
        for name in restless.values():
            engine.scale(name, 0)
    end = time.monotonic() + _REST_S
    while restless and time.monotonic() < end:
        if not any(task["ServiceID"] in restless and _has_ended(task) for task in engine.tasks(label)):
            break
        time.sleep(_REST_POLL_S)


def _is_settled(service: dict[str, Any], tasks: list[dict[str, Any]]) -> bool:
    """Whether all of it that has not ended has run for a while, nothing is on its way, and there is anything."""
    if str((service.get("UpdateStatus") or {}).get("State", "")) in _UNDER_WAY:
        return False
    alive = [task for task in tasks if not _has_ended(task)]
    return bool(alive) and all(map(_has_run, alive))


def _has_run(task: dict[str, Any]) -> bool:
    since = moment(task["Status"].get("Timestamp"))
    is_running = task["Status"]["State"] == task["DesiredState"] == "running"
    return is_running and 0 < since < time.time() - _SETTLED_S


def _shared_addresses_held(tasks: list[dict[str, Any]], own: list[dict[str, Any]]) -> bool:
    """Whether a task that has not ended is on a network of others as well as on one of the stack's own.

    Swarm frees a task's addresses when its status is past `running`, but none of them once one of its networks is
    gone (moby, cnmallocator: IsTaskAllocated): the shared network would be short of an address until the next start of
    the daemon.
    """
    ours = {item["Id"] for item in own}
    for task in tasks:
        on = {attachment["Network"]["ID"] for attachment in task.get("NetworksAttachments") or []}
        if on - ours and on & ours and not _has_ended(task):
            return True
    return False


def _has_ended(task: dict[str, Any]) -> bool:
    return task["Status"]["State"] in addresses.ENDED


def _try_networks(engine: Engine, networks: list[dict[str, str]]) -> None:
    try:
        engine.remove_networks([item["Id"] for item in networks])
    except InfraError:
        return  # still has endpoints on their way out; the caller looks again until its deadline


def _has_volume(service: dict[str, Any]) -> bool:
    mounts = service["Spec"]["TaskTemplate"]["ContainerSpec"].get("Mounts") or []
    return any(mount.get("Type") == "volume" for mount in mounts)


def _stop_gracefully(
    engine: Engine, label: list[str], services: list[dict[str, Any]], *, alone: bool = False
) -> list[str]:
    """Stop with each service's own grace period; returns services whose container did not end by itself.

    alone: containers of other services are left as they are.

    How each ended is learnt from the engine's events: swarm may have removed the container by then.
    """
    graces = {str(item["Spec"]["Name"]): by_zero.grace_s(item) for item in services}
    name_label = "com.docker.swarm.service.name"
    running = {str(i["Id"]): str(i["Labels"].get(name_label, "")) for i in engine.containers(label, running=True)}
    if alone:
        running = {item: name for item, name in running.items() if name in graces}
    with engine.exit_codes(label) as codes:
        engine.stop_containers({item: graces.get(name, by_zero.DEFAULT_GRACE_S) for item, name in running.items()})
        end = time.monotonic() + _EVENT_WAIT_S
        while not running.keys() <= codes.keys() and time.monotonic() < end:
            time.sleep(_POLL_S)
    return sorted({name for item, name in running.items() if codes.get(item, _KILLED) == _KILLED})
