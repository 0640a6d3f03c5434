import pytest

from warmci.base.errors import RecipeFailedError
from warmci.recipe.envfile import generate_secret, parse_env, parse_exports

SAMPLE = r"""
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
OAUTH_ISSUER=https://${DOMAIN}
EMPTY=
HASH=a#b
LITERAL='$DOMAIN # no comment'
QUOTED="a \"b\" # c" # a comment
DOCKER_HOST=tcp://socket-proxy:2375
"""


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
    assert "EXTRA_DOMAINS" not in env.values
    assert env.hints == {"SECRET_A_VERSION": {"length": "128"}, "SECRET_B_VERSION": {"length": "64", "charset": "hex"}}


def test_overrides_are_seen_by_later_lines_and_new_ones_added() -> None:
    env = parse_env(SAMPLE, origin=".env.sample", overrides={"DOMAIN": "warm-x.test", "NEW": "1"})
    assert env.values["DOMAIN"] == "warm-x.test"
    assert env.values["OAUTH_ISSUER"] == "https://warm-x.test"
    assert env.values["NEW"] == "1"


def test_given_names_can_be_referred_to_but_are_not_values() -> None:
    env = parse_env("A=${STACK_NAME}_x", origin=".env", given={"STACK_NAME": "s"})
    assert env.values == {"A": "s_x"}


@pytest.mark.parametrize(
    ("text", "line"), [("A=1\nwhat is this", 2), ('A="open', 1), ("A='x' y", 1), ("A=${B", 1), ("=1", 1)]
)
def test_malformed_names_file_and_line(text: str, line: int) -> None:
    with pytest.raises(RecipeFailedError, match=rf"^\.env\.sample:{line}: "):
        parse_env(text, origin=".env.sample")


def test_exports_are_read_and_never_executed(tmp_path: object) -> None:
    script = """#!/bin/bash
export NGINX_CONF_VERSION=v6
export ENTRY_VERSION="v$N"
export EVIL=$(touch /tmp/warmci-evil)
export TICKS=`id`
backup() {
  export INNER=1
}
"""
    found, unread = parse_exports(script, {"N": "3"}, origin="abra.sh")
    assert found == {"NGINX_CONF_VERSION": "v6", "ENTRY_VERSION": "v3"}
    assert unread == ["EVIL", "TICKS"]


@pytest.mark.parametrize(
    ("hints", "length", "alphabet"),
    [({}, 32, None), ({"length": "128"}, 128, None), ({"length": "64", "charset": "hex"}, 64, "0123456789abcdef")],
)
def test_secrets_follow_the_hints(hints: dict[str, str], length: int, alphabet: str | None) -> None:
    value = generate_secret(hints, where="secret x")
    assert len(value) == length
    assert value.isalnum()
    assert alphabet is None or set(value) <= set(alphabet)
    assert generate_secret(hints, where="secret x") != value


@pytest.mark.parametrize("hints", [{"length": "x"}, {"length": "0"}, {"length": "99999"}, {"charset": "klingon"}])
def test_bad_hints(hints: dict[str, str]) -> None:
    with pytest.raises(RecipeFailedError, match=r"^secret x: "):
        generate_secret(hints, where="secret x")
