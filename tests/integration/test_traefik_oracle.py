"""Rules and labels that nobody chose: Traefik itself, built here from its module, answers beside us."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from recipe.test_traefik import ours, routers_of
from support.traefik_oracle import Oracle, Questions

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    root: Path = tmp_path_factory.mktemp("traefik")
    return Oracle(root)


def test_rules(oracle: Oracle) -> None:
    seed = secrets.randbits(32)
    asked = [Questions(seed + offset).rule() for offset in range(3000)]
    told = oracle.answers("rules", asked)
    different = [
        (question, answer)
        for question, answer in zip(asked, told, strict=True)
        if ours(question) != (bool(answer["ok"]), bool(answer["match"]))
    ]
    assert different == [], f"seed {seed}"
    assert 300 < sum(answer["ok"] for answer in told) < 2700


def test_labels(oracle: Oracle) -> None:
    seed = secrets.randbits(32)
    asked = [Questions(seed + offset).services() for offset in range(3000)]
    told = oracle.answers("labels", asked)
    different = [
        (question, answer)
        for question, answer in zip(asked, told, strict=True)
        if routers_of(question["services"]) != {**answer, "services": set(answer["services"])}
    ]
    assert different == [], f"seed {seed}"
    assert sum(bool(answer["routers"]) for answer in told) > 300
