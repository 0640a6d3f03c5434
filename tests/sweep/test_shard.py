"""Shares: each recipe has one owner, and a node that joins or dies moves its own share only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warmci.sweep.shard import Board, fallen_to, first_share, owner

NODES = st.lists(st.text("abcdef0123456789", min_size=4, max_size=8), min_size=1, max_size=7, unique=True)
RECIPES = st.lists(st.text("abcdefgh-", min_size=1, max_size=8), max_size=30, unique=True)
NOTHING = Board({}, {})


@given(RECIPES, NODES)
def test_the_shares_are_the_whole_and_share_nothing(recipes: list[str], nodes: list[str]) -> None:
    shares = [first_share(recipes, NOTHING, node, nodes) for node in nodes]
    assert sorted(recipe for share in shares for recipe in share) == sorted(recipes)


@given(RECIPES, NODES)
def test_the_order_of_the_nodes_is_nothing(recipes: list[str], nodes: list[str]) -> None:
    other = sorted(nodes, reverse=True)
    assert [owner(recipe, nodes) for recipe in recipes] == [owner(recipe, other) for recipe in recipes]


@given(RECIPES, NODES.filter(lambda nodes: len(nodes) > 1))
def test_a_node_that_dies_moves_its_share_only(recipes: list[str], nodes: list[str]) -> None:
    dead, *alive = nodes
    for recipe in recipes:
        before = owner(recipe, nodes)
        assert before == dead or owner(recipe, alive) == before


def test_shares_are_of_like_size() -> None:
    recipes = [f"recipe-{number}" for number in range(300)]
    nodes = [f"node{number}" for number in range(4)]
    sizes = [len(first_share(recipes, NOTHING, node, nodes)) for node in nodes]
    assert min(sizes) > 50, sizes


@given(RECIPES, NODES.filter(lambda nodes: len(nodes) > 2), st.data())
def test_what_a_dead_node_left_falls_to_one_of_the_others(
    recipes: list[str], nodes: list[str], data: st.DataObject
) -> None:
    dead, *alive = nodes
    plans = {node: frozenset(first_share(recipes, NOTHING, node, nodes)) for node in nodes}
    done = {dead: frozenset(data.draw(st.sets(st.sampled_from(sorted(plans[dead]))))) if plans[dead] else frozenset()}
    board = Board(plans, done)
    fallen = [recipe for node in alive for recipe in fallen_to(recipes, board, node, alive)]
    assert sorted(fallen) == sorted(plans[dead] - done[dead])


def test_a_node_that_joins_leaves_others_what_they_planned() -> None:
    recipes = [f"recipe-{number}" for number in range(40)]
    board = Board({"old": frozenset(recipes)}, {})
    assert first_share(recipes, board, "new", ["old", "new"]) == []
    assert first_share(recipes, board, "new", ["new"]) == recipes, "the old one is dead: its plan is nothing"
    assert fallen_to(recipes, board, "old", ["old", "new"]) == []


def test_what_is_done_is_not_done_again_however_often_its_node_dies() -> None:
    board = Board({"a": frozenset({"x", "y"})}, {"a": frozenset({"x"})})
    assert fallen_to(["x", "y"], board, "b", ["b"]) == ["y"]
    assert board.finished_elsewhere("b") == {"x"}
    assert board.finished_elsewhere("a") == frozenset()
