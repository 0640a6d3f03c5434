"""A recipe's .env.sample: values, overrides where they stand, hints, and what is said of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmci.base.errors import RecipeFailedError
from warmci.recipe.envfile import EnvFile, parse_env

SAMPLE = rb"""
TYPE=traefik
DOMAIN=traefik.example.com
LETS_ENCRYPT_ENV=production
#EXTRA_DOMAINS=', `www.traefik.example.com`'
COMPOSE_FILE="compose.yml"
COMPOSE_FILE="$COMPOSE_FILE:compose.postgres.yml"
CRON_SCHEDULE='*/5 * * * *'
MOUNTS=/ /var/lib/docker
SECRET_A_VERSION=v1 # length=128
SECRET_B_VERSION=v1  # length=64 charset=hex
SECRET_C_VERSION="v1" # generate=false
OAUTH_ISSUER=https://${DOMAIN}
EMPTY=
HASH=a#b
LITERAL='$DOMAIN # no comment'
QUOTED="a \"b\" # c" # a comment
DOCKER_HOST=tcp://socket-proxy:2375
BANNER="first line
second line"
discovery.type=single-node
YAML: 1
RULE=^/api/.*$
"""


def read(text: str, **facts: dict[str, str]) -> EnvFile:
    return parse_env(text.encode(), origin=".env", given=facts.get("given"), overrides=facts.get("overrides"))


def test_real_conventions() -> None:
    env = parse_env(SAMPLE, origin=".env.sample")
    assert env.values["COMPOSE_FILE"] == "compose.yml:compose.postgres.yml"
    assert env.values["CRON_SCHEDULE"] == "*/5 * * * *"
    assert env.values["MOUNTS"] == "/ /var/lib/docker"
    assert env.values["OAUTH_ISSUER"] == "https://traefik.example.com"
    assert env.values["EMPTY"] == ""
    assert env.values["HASH"] == "a#b"
    assert env.values["LITERAL"] == "$DOMAIN # no comment"
    assert env.values["QUOTED"] == 'a "b" # c'
    assert env.values["BANNER"] == "first line\nsecond line"
    assert (env.values["discovery.type"], env.values["YAML"], env.values["RULE"]) == ("single-node", "1", "^/api/.*$")
    assert "EXTRA_DOMAINS" not in env.values
    assert env.hints == {
        "SECRET_A_VERSION": {"length": "128"},
        "SECRET_B_VERSION": {"length": "64", "charset": "hex"},
        "SECRET_C_VERSION": {"generate": "false"},
    }
    assert env.warnings == ()


def test_hints_between_commas() -> None:
    hints = read("SECRET_A_VERSION=v1 # length=20, charset=default,special; see below").hints
    assert hints == {"SECRET_A_VERSION": {"length": "20", "charset": "default,special"}}


def test_overrides_are_seen_by_later_lines_and_new_ones_added() -> None:
    env = parse_env(SAMPLE, origin=".env.sample", overrides={"DOMAIN": "warm-x.test", "NEW": "1", "RULE": "$DOMAIN"})
    assert env.values["DOMAIN"] == "warm-x.test"
    assert env.values["OAUTH_ISSUER"] == "https://warm-x.test"
    assert env.values["NEW"] == "1"
    assert env.values["RULE"] == "$DOMAIN"


def test_given_names_can_be_referred_to_but_are_not_values() -> None:
    env = read("A=${STACK_NAME}_x", given={"STACK_NAME": "s"})
    assert env.values == {"A": "s_x"}
    assert env.warnings == (".env:1: the value of A: STACK_NAME is WarmCI's own, and empty with abra",)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("A=1\nwhat, this", 2, "unexpected character ','"),
        ('A="x\n\ny"\n# c\nB="open', 5, "unterminated"),
        ("A='x' y\n", 1, "unexpected character '\\\\n'"),
        ("\ufeffA=1", 1, "unexpected character '\\\\ufeff'"),
        ("A=a\0b", 1, "the value of A holds a NUL byte"),
    ],
)
def test_what_abra_refuses_is_refused_by_file_and_line(text: str, line: int, what: str) -> None:
    with pytest.raises(RecipeFailedError, match=rf"^\.env:{line}: {what}") as caught:
        read(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\nstray words", "2: a value without a name is left out"),
        ("A B=1", "1: 'A B' is an odd name for a variable"),
        ("A=1 # b # c", "1: the value of A has a # in it: only the last comment of a line is one"),
        (
            "A=1\nB=${A:-d}",
            "2: the value of B: there are no default operators here, the text behind the variable's name stays",
        ),
        ("B=$A", "1: the value of B: A is set by no line before: empty"),
        ("a=1\nB=${a}", "2: the value of B: $a stays as it is, only names in capitals are replaced"),
        ("# a\n\n# length=3 charset=hex\nA=1", "3: a hint belongs behind its variable, on the same line"),
    ],
)
def test_what_looks_like_a_mistake_is_said_and_taken(text: str, said: str) -> None:
    assert read(text).warnings == (f".env:{said}",)


def test_bytes_that_are_no_utf8() -> None:
    env = parse_env(b"A=\xff1", origin=".env")
    assert env.values == {"A": "\ufffd1"}
    assert env.warnings == (".env:1: the value of A is not UTF-8",)


@pytest.mark.parametrize(
    "text", ["A=xx\n" + "A=$A$A\n" * 40, "A=" + "x" * 1100 + "\nB=" + "$A" * 1000, "#" * 2_000_000]
)
def test_what_a_small_file_can_cost_is_bounded(text: str) -> None:
    with pytest.raises(RecipeFailedError, match="longer than 1048576"):
        read(text)


@pytest.mark.parametrize(
    "line",
    [
        "SECRET_A_VERSION=v1 # " + "a" * 200_000,
        "#" + "length=1" * 20_000 + " x",
        "SECRET_A_VERSION=v1 # length=" + "," * 200_000,
        "SECRET_A_VERSION=v1 #" + " length=1,charset=," * 10_000,
        "export A='" * 40_000,
        "#length=1\n" * 40_000,
    ],
)
def test_a_line_costs_what_it_is_long(line: str) -> None:
    """The first took hours, the second, of 200 characters already, for ever."""
    began = time.process_time()
    read(f"A=1\n{line}\n")
    assert time.process_time() - began < 10


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["1", "$A", "${B}x", "'$C'"])), max_size=6))
def test_an_override_is_as_if_the_line_said_it(lines: list[tuple[str, str]]) -> None:
    written = "".join(f"{name}={value}\n" for name, value in lines)
    edited = "".join(f"{name}={'over' if name == 'B' else value}\n" for name, value in lines)
    assert read(written, overrides={"B": "over"}).values == {**read(edited).values, "B": "over"}
