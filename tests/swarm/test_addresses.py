"""Addresses in use, from what engines of either kind say, and when a task waits for one in vain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base.labels import NAMESPACE_LABEL
from warmci.swarm.addresses import is_exhaustion, shared_usage, waits_in_vain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmci.swarm.engine import Engine

PROXY: dict[str, Any] = {
    "Id": "p",
    "Name": "proxy",
    "Scope": "swarm",
    "Labels": {},
    "IPAM": {"Config": [{"Subnet": "10.214.0.64/26"}, {"Subnet": "fd00::/64"}]},
}
TOLD = {"IPAM": {"Subnets": {"10.214.0.64/26": {"IPsInUse": 60, "DynamicIPsAvailable": 4}, "fd00::/64": {}}}}
OTHERS: list[dict[str, Any]] = [
    {"Id": "b", "Name": "bridge", "Scope": "local", "Labels": None},
    {"Id": "s", "Name": "x_internal", "Scope": "swarm", "Labels": {NAMESPACE_LABEL: "x"}},
]


class Told:
    """Answers of an engine."""

    def __init__(self, network: dict[str, Any], tasks: list[dict[str, Any]], virtual: Sequence[str] = ()) -> None:
        self._network, self._tasks = network, tasks
        self._services: list[dict[str, Any]] = [
            {"Endpoint": {"VirtualIPs": [{"NetworkID": name} for name in virtual]}},
            {"Endpoint": {}},
        ]

    def networks(self) -> list[dict[str, Any]]:
        return [*OTHERS, PROXY]

    def network(self, name: str) -> dict[str, Any]:
        assert name == "p"
        return self._network

    def tasks(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        return self._tasks

    def services(self) -> list[dict[str, Any]]:
        return self._services


def engine(*tasks: dict[str, Any], network: dict[str, Any] = PROXY, virtual: Sequence[str] = ()) -> Engine:
    return cast("Engine", Told(network, list(tasks), virtual))


def task(state: str, *networks: str, age_s: float = 0, error: str = "", node: str = "n1") -> dict[str, Any]:
    created = (datetime.now(UTC) - timedelta(seconds=age_s)).strftime("%Y-%m-%dT%H:%M:%S.%f123Z")
    return {
        "Status": {"State": state, "Err": error},
        "DesiredState": "running",
        "CreatedAt": created,
        "NodeID": node,
        "NetworksAttachments": [{"Network": {"ID": name}, "Addresses": ["10.0.0.2/26"]} for name in networks] or None,
    }


def test_a_current_engine_is_believed() -> None:
    (usage,) = shared_usage(engine(network={**PROXY, "Status": TOLD}))
    assert (usage.network, usage.taken, usage.size, usage.exact) == ("proxy", 60, 64, True)
    assert str(usage) == "proxy 60 of 64"


def test_with_an_older_one_what_is_held_is_counted() -> None:
    tasks = [task("running", "p", "s"), task("ready", "p", node="n2"), task("failed", "p"), task("new")]
    (usage,) = shared_usage(engine(*tasks, virtual=["p", "s", "p"]))
    # Three of the subnet's own, two tasks that live, a node's for each, two virtual ones.
    assert (usage.taken, usage.size, usage.exact) == (9, 64, False)
    assert "lost ones are not seen" in str(usage)


@pytest.mark.parametrize(
    ("facts", "vain"),
    [
        ({"state": "running"}, False),
        ({"state": "new"}, False),
        ({"state": "new", "age_s": 60}, True),
        (
            {
                "state": "preparing",
                "error": "node is missing network attachments, ip addresses may be exhausted",
            },
            True,
        ),
        ({"state": "failed", "error": "task: non-zero exit (1)"}, False),
    ],
)
def test_who_waits_in_vain(facts: dict[str, Any], *, vain: bool) -> None:
    assert bool(waits_in_vain(engine(task("running", "p"), task(**facts)), "demo")) is vain


def test_the_full_network_is_named() -> None:
    full = {"IPAM": {"Subnets": {"10.214.0.64/26": {"IPsInUse": 64, "DynamicIPsAvailable": 0}}}}
    said = waits_in_vain(engine(task("new", age_s=60), network={**PROXY, "Status": full}), "demo")
    assert said == "swarm gives a task no address: proxy 64 of 64"


@pytest.mark.parametrize(
    ("words", "so"),
    [
        ("could not find an available, non-overlapping IPv4 address pool among the defaults", True),
        ("could not find an available IP while allocating VIP", True),
        ("no available IPv4 addresses on this network's address pools: proxy", True),
        ("invalid pool request: Pool overlaps with other one on this address space", False),
        ("only updates to Labels are allowed", False),
    ],
)
def test_the_words_of_engines(words: str, *, so: bool) -> None:
    assert is_exhaustion(words) is so
