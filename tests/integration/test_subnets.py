"""Two runs at once of a recipe whose network has a subnet of its own choice: the second cannot have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.own_recipes import make_recipe, web
from warmci.base.models import Ledger, Verdict

if TYPE_CHECKING:
    from support.bench import Bench
    from support.own_recipes import Document

pytestmark = pytest.mark.integration
SUBNET = "10.77.40.0/24"


def fixed(version: str = "0.1.0+1.0") -> Document:
    document = web(version, networks=["proxy", "inner"])
    document["networks"]["inner"] = {"ipam": {"config": [{"subnet": SUBNET}]}}
    return document


def test_a_subnet_that_another_run_has_is_no_fault_of_the_recipe(bench: Bench) -> None:
    name = make_recipe(bench, "fixed", fixed())
    first = bench.run(name, "--ref", "pr", "--pr", "1", "--keep", "--keep-for", "10m")
    assert first.code == 0, first.stderr
    try:
        second = bench.run(name, "--ref", "pr", "--pr", "2")
    finally:
        ended = bench.call("warmci", "run", "clean", first.result.run)
    assert ended.code == 0, ended.stderr
    assert (second.code, second.result.verdict) == (3, Verdict.INFRA), second.stderr
    assert SUBNET in second.result.summary
    assert first.result.run in second.result.summary
    assert bench.ledger() == Ledger()
    assert bench.run(name, "--ref", "pr", "--pr", "2").code == 0
