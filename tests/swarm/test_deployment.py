"""A stack's name is taken over only from a run of this WarmCI, never from a stranger or from the live Keycloak."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from support.fake_engine import FakeEngine, service
from warmci.base.errors import InfraError, RecipeFailedError, WarmciError
from warmci.base.labels import INSTANCE_LABEL, LIVE_RUN, RUN_LABEL
from warmci.recipe.render import Placement
from warmci.swarm import addresses, convergence, held_subnets, subnets
from warmci.swarm.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from warmci.recipe.render import Rendered
    from warmci.swarm.engine import Engine

RUN = "20261124T120000Z-0a1b2c"


@pytest.mark.parametrize(
    ("mine", "instance", "run", "refused"),
    [
        (RUN, "me", "20261124T110000Z-ffffff", False),
        (RUN, "other", RUN, True),
        (RUN, "", "", True),
        (RUN, "me", LIVE_RUN, True),
        (LIVE_RUN, "me", LIVE_RUN, False),
        (LIVE_RUN, "me", RUN, True),
    ],
)
def test_whose_stack_it_is(tmp_path: Path, mine: str, instance: str, run: str, *, refused: bool) -> None:
    engine = FakeEngine(tmp_path)
    placement = Placement("demo", "warm-demo.example", 20000, mine, "me", dnsrr=False)
    found = service("app", placement.stack)
    found["Spec"]["Labels"] |= {INSTANCE_LABEL: instance, RUN_LABEL: run}
    engine.deployed.append(found)
    deployment = Deployment(cast("Engine", engine), placement, tmp_path, {}, tmp_path)
    if refused:
        with pytest.raises(InfraError, match="not this WarmCI's"):
            deployment.claim()
    else:
        deployment.claim()


HELD = "invalid pool request: Pool overlaps with other one on this address space"


@pytest.mark.parametrize(("task_error", "fault"), [(HELD, InfraError), ("task: non-zero exit (1)", RecipeFailedError)])
def test_a_subnet_that_the_node_still_has_is_no_recipes_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task_error: str, fault: type[WarmciError]
) -> None:
    """Whatever the app itself says: one that runs an engine of its own may have the same words in its log."""

    def failed(*_: object, **__: object) -> None:
        raise RecipeFailedError(f"service app has failed: {HELD}")

    monkeypatch.setattr(convergence, "wait_converged", failed)
    monkeypatch.setattr(addresses, "waits_in_vain", lambda *_: "")
    placement = Placement("demo", "warm-demo.example", 20000, RUN, "me", dnsrr=False)
    task = {"ServiceID": "1", "CreatedAt": "", "Status": {"State": "rejected", "Err": task_error}}
    engine = SimpleNamespace(tasks=lambda _: [task])
    deployment = Deployment(cast("Engine", engine), placement, tmp_path, {}, tmp_path)
    with pytest.raises(WarmciError) as caught:
        deployment.wait(1.0, lambda _: None)
    assert type(caught.value) is fault


@pytest.mark.parametrize(("there", "waits"), [((), True), (("demo_a",), True), (("demo_a", "demo_default"), False)])
def test_removed_networks_are_waited_for_where_new_ones_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], *, waits: bool
) -> None:
    """And before a subnet is looked for that another network has: it may go meanwhile."""
    did: list[str] = []

    def wait(_: Engine, say: Callable[[str], None]) -> None:
        did.append("wait")
        say("waiting")

    placement = Placement("demo", "x.example", 20000, RUN, "me", dnsrr=False)
    names = [name.replace("demo", placement.stack) for name in there]
    engine = SimpleNamespace(networks=lambda _: [{"Name": name} for name in names])
    monkeypatch.setattr(held_subnets, "await_released", wait)
    monkeypatch.setattr(subnets, "clash", lambda *_: did.append("clash"))
    said: list[str] = []
    deployment = Deployment(cast("Engine", engine), placement, tmp_path, {}, tmp_path, say=said.append)
    document = {"services": {"app": {"networks": {"a": None}}, "db": {}}, "networks": {"a": None}}
    deployment._provide_networks(cast("Rendered", SimpleNamespace(document=document)))
    assert (did, said) == ((["wait", "clash"], ["waiting"]) if waits else (["clash"], []))
