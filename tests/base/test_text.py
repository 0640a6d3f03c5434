from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support import hostile
from warmci.base import text


@given(hostile.text)
@settings(deadline=None)
@example("#\x1b[m#[x]")
@example("\n::x")
@example("\u3000::x::")
def test_what_comes_out_is_harmless_and_stays_as_it_is(raw: str) -> None:
    for clean in (text.block, text.line):
        made = clean(raw)
        assert hostile.unseen(made) == []
        assert hostile.commands(made) == []
        made.encode()
        assert clean(made) == made
    assert "\n" not in text.line(raw)
    assert "\t" not in text.line(raw)


@given(hostile.text, st.integers(min_value=8, max_value=40))
@settings(deadline=None)
def test_limits_hold_and_cutting_makes_nothing_harmful(raw: str, limit: int) -> None:
    for clean in (text.block, text.line):
        made = clean(raw, limit)
        assert len(made) <= limit
        assert hostile.commands(made) == []
        assert clean(made, limit) == made


@given(st.text(st.characters(categories=["L", "N", "P", "S", "M"], exclude_characters=":#")))
@settings(deadline=None)
def test_ordinary_text_is_not_touched(raw: str) -> None:
    assert text.block(raw) == raw
    assert text.line(raw) == raw


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mexit 1\x1b[0m", "exit 1"),
        ("\x1b]0;owned\x07\x1b]52;c;aGk=\x1b\\x", "x"),
        ("\x1b]never closed", "\\x1b]never closed"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("nul:\x00 rlo:\u202e half:\ud800 tag:\U000e0041", "nul:\\x00 rlo:\\u202e half:\\ud800 tag:\\U000e0041"),
        ("non\xa0breaking", "non breaking"),
        (" ::error::x", " : :error::x"),
        ("a ::error::x", "a ::error::x"),
        ("x ##[error]y ##vso[z]", "x # #[error]y # #vso[z]"),
        ("### heading", "### heading"),
        ("zażółć 日本 ✓ 🎉", "zażółć 日本 ✓ 🎉"),
    ],
)
def test_examples(raw: str, shown: str) -> None:
    assert text.block(raw) == shown


def test_a_flood_costs_no_more_than_its_kept_end() -> None:
    flood = "\x1b[2J::x\x00" * 2_000_000
    assert len(text.block(flood)) == text.BLOCK_MAX
    assert len(text.line(flood)) == text.LINE_MAX


@given(st.lists(st.text(max_size=3), max_size=30), st.integers(min_value=2, max_value=20))
def test_a_list_says_how_much_of_it_is_left_out(values: list[str], limit: int) -> None:
    shown = text.entries(values, limit)
    assert len(shown) <= limit
    assert text.entries(shown, limit) == shown
    if len(values) > limit:
        assert shown == (*values[: limit - 1], f"… and {len(values) - limit + 1} more")
    else:
        assert shown == tuple(values)


@pytest.mark.parametrize(
    "unit", ["\n", "\r", " \n", "\t\r\n", "\x1b[", "\x1b]", "\x1bP", "##", "::", "\u202e", "\x00", " "]
)
def test_what_it_costs_grows_with_the_length_alone(unit: str) -> None:
    """A progress bar of a quarter of a MiB of carriage returns took half an hour."""
    raw = unit * (2**18 // len(unit))
    began = time.process_time()
    text.block(raw)
    text.line(raw)
    assert time.process_time() - began < 10
