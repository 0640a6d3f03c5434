"""Secrets: what their hints ask for, and values that follow them."""

from __future__ import annotations

import re
import string

import pytest

from warmci.base.errors import RecipeFailedError, UsageError
from warmci.recipe.secret import doubts, generate_secret

ALNUM = string.ascii_letters + string.digits


@pytest.mark.parametrize(
    ("hints", "length", "alphabet"),
    [
        ({"generate": "true", "charset": "default"}, 32, ALNUM),
        ({"length": "128"}, 128, ALNUM),
        ({"length": "64", "charset": "hex"}, 64, "0123456789abcdef"),
        ({"length": "64", "charset": "numeric"}, 64, string.digits),
        ({"charset": "alphanum"}, 32, ALNUM),
        ({"charset": "safespecial"}, 32, ALNUM + "@%_-+="),
        ({"charset": "default,special"}, 32, ALNUM + "!@#$%^&*_-+="),
        ({"charset": "Numeric,hex", "generate": "true"}, 32, "0123456789abcdef"),
        ({"charset": "klingon"}, 32, ALNUM),
    ],
)
def test_secrets_follow_the_hints(hints: dict[str, str], length: int, alphabet: str) -> None:
    seen: set[str] = set()
    for _ in range(400):
        value = generate_secret(hints, where="secret x")
        assert len(value) == length
        seen |= set(value)
    assert seen == set(alphabet)
    assert generate_secret(hints, where="secret x") != generate_secret(hints, where="secret x")


def test_without_a_length_it_is_a_passphrase() -> None:
    """What fits a column of 32 characters, or a key that must have 32, is not seen with a shorter one."""
    made = {generate_secret(hints, where="secret x") for hints in ({}, {"generate": "true"}) for _ in range(200)}
    assert len(made) == 400
    for value in made:
        assert re.fullmatch("[a-z]{3,9}(-[a-z]{3,9}){5}", value)


def test_a_charset_that_nobody_knows_is_said() -> None:
    said = ["secret x: charset 'klingon' is not known: letters and digits are used"]
    assert doubts("secret x", {"charset": "klingon"}) == said
    assert doubts("secret x", {"charset": "hex,special", "length": "3"}) == []


@pytest.mark.parametrize("length", ["x", "0", "99999", "-1", "٣", "9" * 5000])
def test_bad_lengths(length: str) -> None:
    with pytest.raises(RecipeFailedError, match=r"^secret x: length "):
        generate_secret({"length": length}, where="secret x")


@pytest.mark.parametrize("value", ["false", "False", "0", "f"])
def test_a_secret_that_the_recipe_leaves_to_the_operator(value: str) -> None:
    with pytest.raises(UsageError, match=r"^secret x: the recipe says generate=false") as caught:
        generate_secret({"generate": value}, where="secret x")
    assert "recipe.toml" in str(caught.value.hint)
