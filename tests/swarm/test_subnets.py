"""Which networks of the swarm stand in the way of a subnet that a compose file chooses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base.errors import RecipeFailedError
from warmci.base.labels import NAMESPACE_LABEL, RUN_LABEL
from warmci.swarm import subnets

if TYPE_CHECKING:
    from warmci.swarm.engine import Engine


def engine(*networks: dict[str, Any]) -> Engine:
    return cast("Engine", SimpleNamespace(networks=lambda: list(networks)))


def network(name: str, subnet: str | None, scope: str = "swarm", **labels: str) -> dict[str, Any]:
    config = None if subnet is None else [{"Subnet": subnet, "Gateway": ""}]
    return {"Name": name, "Scope": scope, "IPAM": {"Config": config}, "Labels": labels}


def document(*chosen: str) -> dict[str, Any]:
    config = [{"subnet": subnet} for subnet in chosen]
    networks = {"proxy": {"external": True}, "plain": None, "inner": {"ipam": {"config": config}}}
    return {"services": {"app": {"networks": {"proxy": None, "inner": None}}}, "networks": networks}


@pytest.mark.parametrize(
    ("other", "chosen", "taken"),
    [
        (network("a_net", "10.7.0.0/24"), "10.7.0.0/24", True),
        (network("a_net", "10.7.0.0/16"), "10.7.3.0/24", True),
        (network("a_net", "fd00:1::/64"), "fd00:1::/80", True),
        (network("a_net", "10.8.0.0/24"), "10.7.0.0/24", False),
        (network("a_net", "fd00:1::/64"), "10.7.0.0/24", False),
        (network("a_net", None), "10.7.0.0/24", False),
        (network("bridge", "10.7.0.0/24", "local"), "10.7.0.0/24", False),
        (network("demo_inner", "10.7.0.0/24", **{NAMESPACE_LABEL: "demo"}), "10.7.0.0/24", False),
        (network("a_net", "10.7.0.0/24"), "no subnet", False),
    ],
)
def test_what_is_taken(other: dict[str, Any], chosen: str, *, taken: bool) -> None:
    assert (subnets.clash(engine(other), "demo", document(chosen)) is not None) is taken


def test_who_has_it_and_what_helps() -> None:
    run = subnets.clash(engine(network("a_net", "10.7.0.0/16", **{RUN_LABEL: "R1"})), "demo", document("10.7.1.0/24"))
    assert run is not None
    assert run.message == "network inner cannot have its subnet 10.7.1.0/24: a_net of run R1 has 10.7.0.0/16"
    assert (run.hint or "").startswith("try again when run R1 has ended (warmci locks), or leave the subnet to swarm")
    own = subnets.clash(engine(network("mine", "10.7.0.0/16")), "demo", document("10.7.1.0/24"))
    assert own is not None
    assert (own.hint or "").startswith("remove the network mine (one that was removed stays")


@pytest.mark.parametrize(
    ("one", "two", "refused"),
    [
        ("10.7.0.0/16", "10.7.3.0/24", True),
        ("fd00:1::/64", "fd00:1::/80", True),
        ("10.7.0.0/24", "10.8.0.0/24", False),
        ("10.7.0.0/24", "fd00:1::/64", False),
    ],
)
def test_two_of_one_compose_file(one: str, two: str, *, refused: bool) -> None:
    """Swarm would let its tasks be new for ever; another host would not run it either."""
    networks = {name: {"ipam": {"config": [{"subnet": subnet}]}} for name, subnet in (("a", one), ("b", two))}
    services = {"app": {"networks": ["a"]}, "db": {"networks": {"b": {"aliases": ["x"]}}}}
    error = subnets.clash(engine(), "demo", {"services": services, "networks": networks})
    assert isinstance(error, RecipeFailedError) is refused
    if error is not None:
        assert error.message == f"network b cannot have its subnet {two}: a of the same compose file has {one}"


def test_a_network_that_no_service_is_on_is_not_made() -> None:
    found = document("10.7.0.0/24")
    other = network("a_net", "10.7.0.0/24")
    assert subnets.clash(engine(other), "demo", found) is not None
    found["services"]["app"]["networks"] = ["proxy"]
    assert subnets.clash(engine(other), "demo", found) is None
    found["networks"]["inner"]["external"] = True
    found["services"]["app"]["networks"] = ["inner"]
    assert subnets.clash(engine(other), "demo", found) is None


def test_what_the_engine_calls_them() -> None:
    services = {"app": {"networks": {"a": None, "proxy": None}}, "db": {}, "cache": {"networks": ["b"]}}
    networks = {"a": None, "b": {"name": "own"}, "c": None, "proxy": {"external": True}}
    found = subnets.real_names("demo", {"services": services, "networks": networks})
    assert found == {"demo_a", "own", "demo_default"}


def test_without_a_choice_no_engine_is_asked() -> None:
    plain = {"services": {"app": {}}, "networks": {"proxy": {"external": True}}}
    assert subnets.clash(cast("Engine", None), "demo", plain) is None
    assert subnets.clash(cast("Engine", None), "demo", document()) is None
    assert subnets.clash(cast("Engine", None), "demo", {}) is None
