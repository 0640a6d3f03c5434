"""`warmci run shell|logs|test|clean`: the app of a kept run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from warmci.base.errors import InfraError, RecipeFailedError, UnverifiedError
from warmci.cli.common import Json, as_json, load_settings
from warmci.cli.runs import app as runs
from warmci.report.console import Console, print_data

if TYPE_CHECKING:
    from warmci.base.models import TestOutcome
    from warmci.testing.suite import Phase

Run = Annotated[str, typer.Argument(help="id of the kept run, as --keep and status say it")]
Service = Annotated[str, typer.Argument(help="a service of the recipe; default: the one that people reach")]

app = runs
_SHELL = "command -v bash >/dev/null && exec bash; exec sh"


@app.command()
def shell(run: Run, service: Service = "") -> None:
    """A shell in a service's running container; what comes on standard input is carried out."""
    from warmci.base import docker_cli, process  # noqa: PLC0415
    from warmci.run import kept_app  # noqa: PLC0415
    from warmci.swarm.engine import Engine  # noqa: PLC0415

    loaded = load_settings()
    kept = kept_app.find(loaded, run)
    name = kept_app.service_of(kept, service)
    running = Engine(loaded.docker_host).service_containers(kept.context.stack, name)
    if not running:
        raise InfraError(f"no container of service {name} runs", hint=f"warmci run logs {run} {name}")
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    cli = str(docker_cli.find(loaded.docker_cli).path)
    argv = [cli, "-H", loaded.docker_host, "exec", "-i", *terminal, str(running[0]["Id"]), "sh", "-c", _SHELL]
    process.become(argv)


@app.command()
def logs(
    run: Run,
    service: Annotated[str, typer.Argument(help="a service of the recipe; default: all")] = "",
    tail: Annotated[int, typer.Option(min=1, max=100_000, help="last lines of each service")] = 100,
    json: Json = False,
) -> None:
    """What the services of a kept run's app said last, secrets masked."""
    from warmci.run import kept_app  # noqa: PLC0415
    from warmci.swarm.engine import Engine  # noqa: PLC0415
    from warmci.testing.suite import redactor  # noqa: PLC0415

    loaded = load_settings()
    kept = kept_app.find(loaded, run)
    names = [kept_app.service_of(kept, service)] if service else list(kept.services)
    engine, redact = Engine(loaded.docker_host), redactor(kept.context)
    said = {name: redact(engine.service_logs(kept.context.stack, name, tail)) for name in names}
    if json:
        print_data(as_json({"run": run, "logs": said}))
        return
    print_data("\n".join(f"--- {name}\n{text.rstrip() or '(nothing)'}" for name, text in said.items()))


@app.command("test")
def again(
    run: Run,
    expression: Annotated[str, typer.Option("-k", help="only tests that match, as pytest has it")] = "",
    first: Annotated[bool, typer.Option("-x", help="end at the first that fails")] = False,
    phase: Annotated[
        str, typer.Option(help="install, base, upgrade or quick; default: the one that the run had come to")
    ] = "",
    json: Json = False,
) -> None:
    """The recipe's own tests again, as they are now, against the app that is kept.

    Exit codes: 0 all passed · 1 one failed · 3 infrastructure · 6 none was selected.
    """
    from warmci.run import kept_app  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    kept = kept_app.find(loaded, run)
    options = [*(["-k", expression] if expression else []), *(["-x"] if first else [])]
    outcomes, said = kept_app.test_again(loaded, kept, options, _phase(phase))
    if json:
        tests = [outcome.model_dump(mode="json") for outcome in outcomes]
        print_data(as_json({"run": run, "tests": tests}))
    elif said:
        print_data(said)
    _judge(console, outcomes, kept.recipe)


def _phase(name: str) -> Phase | None:
    from typing import cast, get_args  # noqa: PLC0415

    from warmci.testing.suite import Phase  # noqa: PLC0415

    if name and name not in get_args(Phase):
        raise typer.BadParameter(f"{name} is none of {', '.join(get_args(Phase))}")
    return cast("Phase", name) if name else None


def _judge(console: Console, outcomes: tuple[TestOutcome, ...], recipe: str) -> None:
    failed = [outcome for outcome in outcomes if outcome.outcome == "failed"]
    for outcome in failed:
        console.say(f"failed: {outcome.name}: {outcome.infrastructure or outcome.reason}", "bold red")
    count = f"{len(outcomes)} test{'' if len(outcomes) == 1 else 's'}"
    if not outcomes:
        raise UnverifiedError(f"no test of {recipe} was selected", hint="-k names what to select, --phase the phase")
    for outcome in failed:
        if outcome.infrastructure:
            raise InfraError(f"{outcome.name}: {outcome.infrastructure}", hint="warmci doctor")
    if failed:
        raise RecipeFailedError(f"{len(failed)} of {count} failed", hint="all that they said is above")
    console.say(f"{count} passed", "bold green")


@app.command()
def clean(run: Run, json: Json = False) -> None:
    """End a kept run: its app, realm and data are removed, and its locks are free."""
    from warmci.base.errors import RollbackError  # noqa: PLC0415
    from warmci.base.models import Verdict  # noqa: PLC0415
    from warmci.report.history import read_result  # noqa: PLC0415
    from warmci.run import kept_app  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    kept_app.end(loaded, kept_app.find(loaded, run), console.progress)
    home, result = read_result(loaded.runs_dir, run)
    if result.verdict is Verdict.ROLLBACK_FAILED:
        raise RollbackError(result.summary, hint=result.hint)
    left = [*result.leftovers, *([str(home / "work")] if (home / "work").exists() else [])]
    if left:
        raise InfraError(f"run {run} left something behind: {', '.join(left)}", hint="warmci recover")
    if json:
        print_data(as_json({"run": run, "leftovers": []}))
    console.say(f"run {run} has cleaned up: nothing is left behind")
