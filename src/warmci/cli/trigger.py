"""`warmci trigger`: what a comment or a CI's event asks for."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from warmci.base.errors import UnverifiedError, UsageError
from warmci.cli.common import Json, as_json, group
from warmci.report.console import print_data

app = group()
_COMMENT_MAX = 2**20


@app.command()
def parse(
    comment: Annotated[str | None, typer.Argument(help="the comment's whole text; default: standard input")] = None,
) -> None:
    """Say as JSON whether a comment is a trigger, and of which mode; exit code 0: it is, 6: it is none.

    `!testme` is cold and `!testme --quick` is quick, to the letter; everything else is no trigger.
    """
    from warmci.report.trigger import parse_comment  # noqa: PLC0415  (--help stays quick)

    mode = parse_comment(_read_comment() if comment is None else comment)
    print_data(as_json({"trigger": mode is not None, "mode": mode}))
    if mode is None:
        raise typer.Exit(UnverifiedError.exit_code)


@app.command()
def env(json: Json = False) -> None:
    """Print the arguments for run_recipe_ci.py that this CI job's event asks for.

    Prints nothing for a comment that is no trigger. Knows Woodpecker, Drone and Actions (Gitea, Forgejo, GitHub).
    """
    from warmci.report.trigger import from_environment  # noqa: PLC0415

    wanted = from_environment(os.environ)
    if json:
        print_data(as_json({**wanted.model_dump(mode="json"), "arguments": wanted.arguments()}))
    elif wanted.mode is not None:
        # Not quoted: a shell that expands `$arguments` splits at spaces, and would hand quotes on as they are.
        print_data(" ".join(wanted.arguments()))


def _read_comment() -> str:
    if sys.stdin.isatty():
        raise UsageError("no comment given", hint="warmci trigger parse '!testme'")
    return sys.stdin.buffer.read(_COMMENT_MAX).decode("utf-8", errors="replace")
