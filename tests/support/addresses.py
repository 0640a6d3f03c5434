"""How many addresses a shared network has to give, by asking for more than there can be."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from docker import types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.swarm.engine import Engine

_DEADLINE_S = 60.0
_SETTLED_S = 1.0
_POLL_S = 0.1
_PROBE = "address-probe"


def free_addresses(engine: Engine, network: str, at_most: int = 64) -> int:
    """Tasks that no node fits are given addresses all the same: they leave the state `new` as soon as they have them.

    Counting what is in use would not do: what leaks is held by nobody.
    """
    with asking(engine, network, at_most) as found:
        return found


@contextmanager
def asking(engine: Engine, network: str, at_most: int) -> Iterator[int]:
    """Hold as many addresses as there are, at_most so many, within the block; their number."""
    template = types.TaskTemplate(
        types.ContainerSpec("none"),
        placement=types.Placement(constraints=["node.labels.no-such-label==1"]),
        networks=[types.NetworkAttachmentConfig(network)],
    )
    engine._api.create_service(
        template,
        name=_PROBE,
        mode=types.ServiceMode("replicated", at_most),
        endpoint_spec=types.EndpointSpec(mode="dnsrr"),
    )
    try:
        yield _settled(engine, at_most)
    finally:
        engine._api.remove_service(_PROBE)
        end = time.monotonic() + _DEADLINE_S
        while left := engine._api.tasks(filters={"name": _PROBE}):
            assert time.monotonic() < end, f"{len(left)} tasks of the probe do not go"
            time.sleep(_POLL_S)


def _settled(engine: Engine, at_most: int) -> int:
    """The count, once it has not changed for a second."""
    end = time.monotonic() + _DEADLINE_S
    seen, since = -1, time.monotonic()
    while True:
        tasks = engine._api.tasks(filters={"service": _PROBE})
        found = sum(task["Status"]["State"] != "new" for task in tasks)
        if found != seen or len(tasks) < at_most:
            seen, since = found, time.monotonic()
        if time.monotonic() - since > _SETTLED_S:
            return seen
        assert time.monotonic() < end, f"{seen} of {len(tasks)} tasks have an address, and it still changes"
        time.sleep(_POLL_S)
