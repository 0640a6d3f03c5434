"""What the command files share: options, how settings are found and how a question is asked."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warmci.base.errors import InterruptedRunError, UsageError
from warmci.cli.completion import recipe_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from warmci.base.settings import Settings
    from warmci.report.console import Console


def _name_of(argument: str) -> str:
    from warmci.recipe.named import read_named  # noqa: PLC0415  (--help stays quick)

    return read_named(argument).recipe if argument else argument


Json = Annotated[bool, typer.Option("--json", help="print JSON on standard output")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be done, and do nothing")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]
Named = Annotated[
    str, typer.Argument(help="name of the recipe, its directory (., ./NAME) or its URL", autocompletion=recipe_names)
]
Recipe = Annotated[
    str,
    typer.Argument(
        help="name of the recipe, or its directory or URL, whose last part is its name",
        autocompletion=recipe_names,
        callback=_name_of,
    ),
]


KEEP_FOR = "2h"
MOST_KEPT_S = 12 * 3600
"""A realm is anybody's to reap after a day (realm_ttl_s)."""
KeepFor = Annotated[str, typer.Option("--keep-for", help="how long at most: 2h, 90m, 1h30m")]
HELP_NAMES = {"help_option_names": ["-h", "--help"]}


def _say_version(asked: bool) -> None:
    if asked:
        from warmci.base.version import describe  # noqa: PLC0415

        typer.echo(describe())
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_say_version, is_eager=True, help="print version, commit, state format")
]


def group() -> typer.Typer:
    return typer.Typer(rich_markup_mode=None, no_args_is_help=True)


def read_settings(**flags: Any) -> Settings:
    """Settings alone, for what asks no engine."""
    from warmci.base import settings  # noqa: PLC0415  (--help stays quick)

    return settings.load(**flags)


def load_settings(**flags: Any) -> Settings:
    """Settings, in the network namespace of the engine that they name."""
    loaded = read_settings(**flags)
    if loaded.netns is not None:
        from warmci.base.netns import enter  # noqa: PLC0415  (--help stays quick)

        enter(loaded.netns)
    return loaded


def agreed(question: str, *, yes: bool) -> bool:
    """Ask before something is thrown away. Raises UsageError where nobody can answer, InterruptedRunError at a no."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("this asks first, and there is no terminal to ask at", hint="--yes; --dry-run shows the plan")
    try:
        said_yes = typer.confirm(question, err=True)
    except typer.Abort:  # the end of the input is a no
        said_yes = False
    if not said_yes:
        raise InterruptedRunError("nothing was changed")
    return True


def seconds_of(text: str) -> float:
    """Of "2h", "90m", "1h30m" or "600s". Raises UsageError for anything else, and beyond MOST_KEPT_S."""
    found = re.fullmatch(r"(?:(\d{1,4})h)?(?:(\d{1,4})m)?(?:(\d{1,5})s?)?", text.strip())
    total = sum(int(part or 0) * size for part, size in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0
    if not 1 <= total <= MOST_KEPT_S:
        raise UsageError(f"{ascii(text)[:40]} is no time to keep an app for", hint="as 2h, 90m or 1h30m; 12h at most")
    return float(total)


def say_notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        console.say(f"note: {note}", style="yellow")


def as_json(value: Mapping[str, object]) -> str:
    """A document with the version of its form, as every other one that --json prints."""
    import json  # noqa: PLC0415  (--help stays quick)

    return json.dumps({"schema_version": 1, **value}, indent=2)
