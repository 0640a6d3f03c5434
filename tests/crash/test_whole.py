"""The whole of it: `make test-crash`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import concurrency
import fulldisk
import mutations
import order
import powercut
import pytest
from campaigns import Result, errors, kills, second_kills
from isolation import isolated
from scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crash_results import Record
    from scenarios import Scenario

pytestmark = pytest.mark.crash
PAIRS = 500
"""Second kills per scenario; there are thousands."""
ERRORS = ("EIO", "ENOSPC", "EDQUOT")
METHODS: dict[str, Callable[[Scenario, Path], Result]] = {
    "kill -9": kills,
    "order of syncs": order.lint,
    **{
        f"power cut on {name}": partial(powercut.power_cuts, system=system)
        for name, system in powercut.FILE_SYSTEMS.items()
    },
}


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit), default=None)


every_scenario = pytest.mark.parametrize("name", SCENARIOS)


@every_scenario
def test_killed_at_every_point(name: str, tmp_path: Path, record: Record, most: int | None) -> None:
    result = isolated(lambda room: kills(SCENARIOS[name], room, most=most), tmp_path / "room")
    record("kill -9", name, result)
    assert result.wrong == []
    assert result.cases == (min(result.exist, most) if most else result.exist)
    assert result.beyond


@every_scenario
def test_killed_again_during_the_recovery(name: str, tmp_path: Path, record: Record, most: int | None) -> None:
    result = isolated(lambda room: second_kills(SCENARIOS[name], room, most=_least(PAIRS, most)), tmp_path / "room")
    record("kill -9, and again during the recovery", name, result)
    assert result.wrong == []
    assert result.cases


@every_scenario
@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_a_disk_that_refuses(
    name: str, code: str, for_good: bool, tmp_path: Path, record: Record, most: int | None
) -> None:
    result = isolated(
        lambda room: errors(SCENARIOS[name], room, code, for_good=for_good, most=most),
        tmp_path / "room",
    )
    record("disk errors", f"{name}, {code}{' from there on' if for_good else ''}", result)
    assert result.wrong == []
    assert result.cases


@every_scenario
@pytest.mark.parametrize("system", powercut.FILE_SYSTEMS)
def test_power_cut_at_every_point(name: str, system: str, tmp_path: Path, record: Record, most: int | None) -> None:
    result = isolated(
        lambda room: powercut.power_cuts(SCENARIOS[name], room, powercut.FILE_SYSTEMS[system], most=most),
        tmp_path / "room",
    )
    record("power cuts", f"{name}, {system}", result)
    assert result.wrong == []
    assert result.cases == (min(result.exist, most + 1) if most else result.exist)


@pytest.mark.parametrize("unit", ["bytes", "inodes"])
@pytest.mark.parametrize("name", ["first save", "replace", "advance", "save of live volumes", "restore"])
def test_a_full_disk(name: str, unit: fulldisk.Unit, tmp_path: Path, record: Record) -> None:
    result, succeeded = isolated(
        lambda room: fulldisk.full_disk(SCENARIOS[name], room, unit, steps=50), tmp_path / "room"
    )
    record("full disk", f"{name}, {unit}", result)
    assert result.wrong == []
    assert 0 < succeeded < result.cases, "it never had enough room, or always"


@every_scenario
def test_order_of_syncs_and_renames(name: str, tmp_path: Path, record: Record) -> None:
    result = isolated(lambda room: order.lint(SCENARIOS[name], room), tmp_path / "room")
    record("order of syncs and renames", name, result)
    assert result.wrong == []


def test_several_at_once(tmp_path: Path, record: Record) -> None:
    result = isolated(lambda room: concurrency.several(room, seconds=60, workers=4), tmp_path / "room")
    record("several at once", "4 processes, 2 recipes, 60 s", result)
    assert result.wrong == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("variant", mutations.MUTATIONS)
def test_a_broken_variant_is_seen(variant: str, method: str, tmp_path: Path, record: Record) -> None:
    """By the methods that can see it, and by no other: a kill does not lose what was not synced."""

    def broken(room: Path) -> Result:
        mutations.MUTATIONS[variant].apply()
        return METHODS[method](SCENARIOS["replace"], room)

    result = isolated(broken, tmp_path / "room")
    result.caught, result.wrong = len(result.wrong), []
    record("broken on purpose", f"{variant}, {method}", result)
    seen = any(method.startswith(name) for name in mutations.MUTATIONS[variant].seen_by)
    assert bool(result.caught) == seen
