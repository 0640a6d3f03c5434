"""A stack's name is taken over only from a run of this WarmCI, never from a stranger or from the live Keycloak."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from support.fake_engine import FakeEngine, service
from warmci.base.errors import InfraError, RecipeFailedError, WarmciError
from warmci.base.labels import INSTANCE_LABEL, LIVE_RUN, RUN_LABEL
from warmci.recipe.render import Placement
from warmci.swarm import addresses, convergence
from warmci.swarm.deployment import Deployment

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize(
    ("words", "ipam", "fault"),
    [
        ("invalid pool request: Pool overlaps with other one on this address space", None, InfraError),
        ("invalid pool request: Pool overlaps with other one on this address space", "10.7.0.0/24", RecipeFailedError),
        ("task: non-zero exit (1)", None, RecipeFailedError),
    ],
)
def test_a_subnet_that_swarm_chose_and_the_node_still_has_is_no_recipes_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, ipam: str | None, fault: type[WarmciError]
) -> None:
    def failed(*_: object, **__: object) -> None:
        raise RecipeFailedError(f"service app has failed: {words}")

    monkeypatch.setattr(convergence, "wait_converged", failed)
    monkeypatch.setattr(addresses, "waits_in_vain", lambda *_: "")
    placement = Placement("demo", "warm-demo.example", 20000, RUN, "me", dnsrr=False)
    deployment = Deployment(cast("Engine", FakeEngine(tmp_path)), placement, tmp_path, {}, tmp_path)
    deployment._document = {"networks": {"inner": {"ipam": {"config": [{"subnet": ipam}]}} if ipam else None}}
    with pytest.raises(WarmciError) as caught:
        deployment.wait(1.0, lambda _: None)
    assert type(caught.value) is fault
    assert words in caught.value.message
