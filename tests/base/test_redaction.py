"""No known secret gets through, in any of the forms in which it travels."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from warmci.base.redaction import MASK, Redactor

SECRETS = st.lists(st.text(min_size=6, max_size=20).filter(lambda text: "*" not in text), min_size=1, max_size=4)


@given(SECRETS, st.text(max_size=10), st.text(max_size=10))
@example(["secret", "secret-and-more"], "", "")
@example(["secret-and-more", "secret"], "", "")
@example(["a/b c+d&e="], "", "")
def test_no_secret_is_left(secrets: list[str], before: str, after: str) -> None:
    redact = Redactor()
    redact.add(*secrets)
    text = before + "\n".join(f"{one} ?q={quote(one, safe='')}" for one in secrets) + after
    clean = redact(text)
    for one in secrets:
        assert one not in clean
        assert quote(one, safe="") not in clean


def test_the_longest_goes_first_so_that_no_end_of_it_shows() -> None:
    redact = Redactor()
    redact.add("secret")
    redact.add("secret-and-more")
    assert redact("x secret-and-more y secret z") == f"x {MASK} y {MASK} z"


def test_short_values_would_blank_out_ordinary_words() -> None:
    redact = Redactor()
    redact.add("", "v1", "admin")
    assert redact("admin of v1") == "admin of v1"


def test_without_secrets_nothing_changes() -> None:
    assert Redactor()("all of it") == "all of it"
