"""`run_recipe_ci.py RECIPE`: what a CI job calls."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from warmci.base.errors import UsageError
from warmci.cli import exits
from warmci.cli.common import HELP_NAMES, KEEP_FOR, KeepFor, Named, Version, load_settings, seconds_of
from warmci.cli.completion import completing
from warmci.report.console import Console, print_data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from warmci.base.models import RunResult

_EPILOG = (
    "Exit codes: 0 pass · 1 the recipe failed · 2 usage or settings · 3 infrastructure, retry · 4 passed, promotion"
    " failed · 5 roll-back failed · 6 nothing was verified · 70 a bug in WarmCI · 75 busy, retry · 130 interrupted"
)
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog=_EPILOG, context_settings=HELP_NAMES)
def run(
    recipe: Named,
    quick: Annotated[
        bool, typer.Option("--quick", help="upgrade the canonical's data in place; lower confidence, gates no merge")
    ] = False,
    ref: Annotated[str, typer.Option(help="branch, tag or commit to test; default: the default branch")] = "",
    pr: Annotated[str, typer.Option(help="the pull request's number; its code is never promoted")] = "",
    worktree: Annotated[
        bool, typer.Option("--worktree", help="test the directory as it is, with what is not committed; never promotes")
    ] = False,
    reseed: Annotated[bool, typer.Option("--reseed", help="cold: start the canonical's data afresh")] = False,
    wait: Annotated[
        float | None, typer.Option(min=0, help="seconds to wait for the recipe's lock and a slot; default: lock_wait_s")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="end with 75 at once when somebody else is at it")] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="leave the app up for people to look at, with its realm and data; no promotion"),
    ] = False,
    keep_on_failure: Annotated[bool, typer.Option("--keep-on-failure", help="the same where the run is red")] = False,
    keep_for: KeepFor = KEEP_FOR,
    plan: Annotated[
        bool, typer.Option("--plan", help="say what would be tested and what stands in its way; deploys nothing")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON on standard output")] = False,
    _version: Version = False,
) -> None:
    """Test a recipe on a real swarm: cold (fresh and authoritative), or quick on warm data."""
    from warmci.base import interrupts, settings  # noqa: PLC0415
    from warmci.base.models import Mode  # noqa: PLC0415
    from warmci.cli.planned import tell_plan  # noqa: PLC0415
    from warmci.recipe.named import read_named  # noqa: PLC0415
    from warmci.report.trigger import job_link  # noqa: PLC0415
    from warmci.run import record  # noqa: PLC0415
    from warmci.run.announce import announced  # noqa: PLC0415  (--help must not wait for the engine's SDK)
    from warmci.run.checkout import require_consistent  # noqa: PLC0415
    from warmci.run.context import Request  # noqa: PLC0415
    from warmci.run.own_process import run_in_own_process  # noqa: PLC0415
    from warmci.run.run import run_recipe  # noqa: PLC0415

    if no_wait and wait is not None:
        raise UsageError("--wait and --no-wait exclude each other", hint="run_recipe_ci.py --help")
    if quick and reseed:
        raise UsageError("--reseed starts the canonical's data afresh: only a cold run does", hint="leave out --quick")
    console = Console()
    wanted: Literal["", "failure", "always"] = "always" if keep else "failure" if keep_on_failure else ""
    request = Request(
        recipe,
        Mode.QUICK if quick else Mode.COLD,
        ref,
        pr,
        reseed,
        worktree=worktree,
        keep=wanted,
        keep_s=seconds_of(keep_for),
    )
    state_dir: Path | None = None
    try:
        loaded = load_settings(lock_wait_s=0.0 if no_wait else wait)
        named = read_named(recipe)
        request = replace(request, recipe=named.recipe, source=named.source, job=job_link(os.environ))
        require_consistent(request)
        if plan:
            raise typer.Exit(tell_plan(loaded, console, request, as_json=as_json))
    except UsageError as error:
        if plan:
            raise
        if (state_dir := settings.state_dir_alone()) is None:
            raise  # nobody knows where a result would be looked for
        result = record.refused(state_dir, console, request, error)
    else:
        state_dir = loaded.state_dir

        def tested() -> RunResult:
            where = run_in_own_process if request.keep else run_recipe
            return where(loaded, console, request)

        result = announced(loaded, console, request, tested, link=request.job)
    interrupts.end()
    if as_json:
        print_data(result.model_dump_json(indent=2))
    _say_verdict(console, result, state_dir / ".runs" / result.run / "result.json")
    raise typer.Exit(result.exit_code)


def _say_verdict(console: Console, result: RunResult, path: Path) -> None:
    from warmci.report import words  # noqa: PLC0415

    where = str(path) if path.is_file() else ""  # the state directory may have taken none
    if result.log_excerpt:
        console.say(f"--- {words.log_title(result)}", style="dim")
        console.say(result.log_excerpt)
        console.say("---", style="dim")
    if not words.is_green(result):
        console.error(result.summary, result.hint or (f"all that was seen is in {where}" if where else None))
        if result.cause:
            console.say(f"cause: {words.cause_text(result)}")
    for note in words.notes(result):
        console.say(note)
    style = "bold green" if words.is_green(result) else "bold red"
    ended = f"{words.headline(result)} in {result.seconds:.1f} s"
    console.say(f"{ended}: {where}" if where else f"{ended}; no result was written", style)


def main(argv: Sequence[str] | None = None) -> int:
    return exits.run_main(completing(app, "run_recipe_ci.py"), list(sys.argv[1:] if argv is None else argv))


def entry() -> None:
    sys.exit(main())


if __name__ == "__main__":
    entry()
