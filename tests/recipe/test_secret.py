"""Secrets: which variable's hints are a secret's, and values that follow them."""

from __future__ import annotations

import re
import string

import pytest

from warmci.base.errors import RecipeFailedError, UsageError
from warmci.recipe.secret import doubts, generate_secret, name_variables

ALNUM = string.ascii_letters + string.digits
BASE = """
secrets:
  pw: {external: true, name: "${STACK_NAME}_pw_${SECRET_DB_PW_VERSION}"}
  old: {external: {name: $STACK_NAME-old_$SECRET_OLD_VERSION}}
  plain: {external: true}
  empty:
"""


def test_the_variables_of_a_name_are_found_in_the_raw_text() -> None:
    assert name_variables([BASE]) == {
        "pw": ["SECRET_DB_PW_VERSION", "STACK_NAME"],
        "old": ["SECRET_OLD_VERSION", "STACK_NAME"],
        "plain": [],
        "empty": [],
    }


def test_a_later_file_replaces_and_what_is_no_yaml_is_passed_over() -> None:
    later = (
        'x-s: &s {external: true, name: "a_${ONE_VERSION}"}\nsecrets: {pw: {<<: *s}, new: {<<: [*s]}, 2024-13-45: *s}\n'
    )
    found = name_variables([BASE, later, "{", "[]", "secrets: 3", "services: {}"])
    assert found["pw"] == found["new"] == found["2024-13-45"] == ["ONE_VERSION"]
    assert found["old"][0] == "SECRET_OLD_VERSION"


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
