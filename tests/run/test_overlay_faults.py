"""A second try of a red quick: never where it would say the same, always where the data may have been the reason."""

from __future__ import annotations

import pytest

from warmci.base.errors import RecipeFailedError, RefusedError
from warmci.run.overlay_faults import may_be
from warmci.swarm.pull import MissingImageError

CRASH = "service {} crash-loops (2 tasks): {}"


def crash(service: str, words: str) -> RecipeFailedError:
    return RecipeFailedError(CRASH.format(service, words), log=words, service=service)


@pytest.mark.parametrize(
    ("red", "again"),
    [
        (RefusedError("volumes.v has driver_opts"), False),
        (MissingImageError("no such image: a:1"), False),
        (crash("db", "fatal: index is corrupted"), True),
        (crash("db", "exec: postgres: executable file not found in $PATH"), True),
        (crash("web", "fatal: the database's answer is nonsense"), True),
        (crash("web", "exec: gunicorn: executable file not found in $PATH"), False),
        (crash("web", "fatal: SMTP_HOST is not set"), False),
        (crash("web", "cat: can't open '/run/secrets/key': No such file or directory"), False),
        (crash("web", "relation documents does not exist"), True),
        (RecipeFailedError("serves /: http://x does not serve after 60 s; last: HTTP 500"), True),
        (RecipeFailedError("test_login: AssertionError: 500 == 200"), True),
        (RecipeFailedError("x did not converge within 600 s; last seen: web 0/1"), True),
    ],
)
def test_what_is_tried_again(red: RecipeFailedError, again: bool) -> None:
    assert may_be(red, ran=True, with_data={"db"}) == again
    assert not may_be(red, ran=False, with_data={"db"}), "swarm never had it"
    assert not may_be(red, ran=True, with_data=set()), "there is no data"
