"""A room knows only the rooms below it; and who may import what."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from support import rooms
from support.rooms import ORDER, SOURCE, imports_of, modules, room_of

if TYPE_CHECKING:
    from pathlib import Path

ONLY = {"typer": {"cli", "run_recipe_ci"}, "docker": {"swarm"}, "pytest": {"testing"}, "subprocess": {"base"}}
ONE_PLACE = {"subprocess": "base/process.py", "pytest": "testing/pytest_plugin.py"}


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("room", ORDER)
def test_a_room_knows_only_the_rooms_below(room: str) -> None:
    above = {other for other in rooms.arrows()[room] if ORDER.index(other) < ORDER.index(room)}
    assert not above, f"{room} imports from above: {above}"


def test_every_module_is_in_a_room() -> None:
    assert {room_of(path) for path in modules()} == set(ORDER)
    assert sorted(path.name for path in SOURCE.glob("*.py")) == ["__init__.py", "__main__.py", "run_recipe_ci.py"]


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_only_the_named_rooms_import(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports_of(path)}
    for package, allowed in ONLY.items():
        assert package not in tops or room_of(path) in allowed, f"{name_of(path)} imports {package}"
    for package, place in ONE_PLACE.items():
        assert package not in tops or name_of(path) == place, f"{name_of(path)} imports {package}"


def test_no_cycles() -> None:
    names = {f"warmci.{name_of(path).removesuffix('.py').replace('/', '.')}": path for path in modules()}
    graph = {name: imports_of(path) & names.keys() - {name} for name, path in names.items()}
    while leaves := {name for name, needs in graph.items() if not needs & graph.keys()}:
        graph = {name: needs for name, needs in graph.items() if name not in leaves}
    assert not graph, f"import cycle among {sorted(graph)}"


@pytest.mark.parametrize("room", sorted(set(ORDER) - {rooms.ENTRY}))
def test_a_room_says_what_it_is_for_and_exports_nothing(room: str) -> None:
    (only,) = ast.parse((SOURCE / room / "__init__.py").read_text(encoding="utf-8")).body
    assert isinstance(only, ast.Expr)
    assert isinstance(only.value, ast.Constant)
    assert "Read first:" in str(only.value.value)
