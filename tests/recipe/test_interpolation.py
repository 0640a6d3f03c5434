import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmci.base.errors import RecipeFailedError
from warmci.recipe.interpolation import expand

SCOPE = {"A": "1", "EMPTY": "", "B_2": "two"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A", "1"),
        ("${A}", "1"),
        ("x${B_2}y$A", "xtwoy1"),
        ("$$A", "$A"),
        ("$${A}", "${A}"),
        ("${NONE}", ""),
        ("$NONE-x", "-x"),
        ("${NONE:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${NONE-d}", "d"),
        ("${A:-d}", "1"),
        ("${NONE:-${A}}", "1"),
        ("${NONE:-${EMPTY:-${B_2}}}", "two"),
        ("${A:+set}", "set"),
        ("${EMPTY:+set}", ""),
        ("${EMPTY+set}", "set"),
        ("${NONE+set}", ""),
        ("${NONE:-http://x}", "http://x"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert expand(text, SCOPE, where="t") == expected


@pytest.mark.parametrize(
    "text", ["${A", "$", "$-", "${}", "${1A}", "${A!x}", "${NONE:?must}", "${NONE?must}", "${EMPTY:?m}"]
)
def test_malformed_or_required_names_the_place(text: str) -> None:
    with pytest.raises(RecipeFailedError, match=r"^compose\.yml: image"):
        expand(text, SCOPE, where="compose.yml: image")


@given(st.text())
def test_doubled_dollars_come_back(text: str) -> None:
    assert expand(text.replace("$", "$$"), {}, where="t") == text


@given(st.text(alphabet=st.characters(exclude_characters="$"), max_size=40), st.text(max_size=40))
def test_a_value_is_taken_literally(around: str, value: str) -> None:
    assert expand(f"{around}${{A}}{around}", {"A": value}, where="t") == around + value + around
