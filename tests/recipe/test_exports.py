"""Exports of abra.sh, beside the shell that would run them."""

from __future__ import annotations

import shutil

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from warmci.base import process
from warmci.recipe.exports import parse_exports

SCOPE = {"N": "3", "WORDS": "two words", "EMPTY": ""}
_PARTS = st.sampled_from(
    [
        "v",
        "1",
        "$N",
        "${N}",
        "${EMPTY:-d}",
        "${NONE-e}",
        "$EMPTY",
        "'",
        '"',
        "\\",
        " ",
        "#",
        " # c",
        ";",
        "/",
        ":",
        ".",
        "=",
        "$",
        "~",
        "é",
    ]
)


def test_exports_are_read_and_never_executed() -> None:
    script = """#!/bin/bash
export NGINX_CONF_VERSION=v6
export ENTRY_VERSION="v$N"  # a comment
export DEFAULTED=${NONE:-v1}; export SECOND=x
export EVIL=$(touch /tmp/warmci-evil)
export TICKS=`id`
export OPEN="a
backup() {
  export INNER=1
}
"""
    found, unread = parse_exports(script, SCOPE)
    assert found == {"NGINX_CONF_VERSION": "v6", "ENTRY_VERSION": "v3", "DEFAULTED": "v1"}
    assert unread == ["EVIL", "TICKS", "OPEN"]


def test_line_ends_of_windows() -> None:
    assert parse_exports("export A=v1\r\nexport B='x'\r\n", {}) == ({"A": "v1", "B": "x"}, [])


@settings(deadline=None)
@given(st.lists(_PARTS, max_size=8).map("".join))
def test_what_is_read_is_what_bash_says(raw: str) -> None:
    found, unread = parse_exports(f"export A={raw}\n", SCOPE)
    assert found.keys() | set(unread) == {"A"}
    if unread:
        return
    bash = shutil.which("bash") or "bash"
    script = f'export A={raw}\nprintf %s "$A"\n'
    done = process.run([bash, "--norc", "-c", script], env={**SCOPE, "HOME": "/h"}, timeout_s=10, check=False)
    assume(done.returncode == 0)  # else what follows the value is no shell
    assert found["A"] == done.stdout
