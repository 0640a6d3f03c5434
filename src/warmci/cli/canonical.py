"""`warmci canonical`: the registry of known-good recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from warmci.base.errors import InfraError
from warmci.cli.common import (
    KEEP_FOR,
    DryRun,
    Json,
    KeepFor,
    Named,
    Recipe,
    Yes,
    agreed,
    as_json,
    group,
    load_settings,
    read_settings,
    seconds_of,
)
from warmci.report.console import Console, print_data, size

if TYPE_CHECKING:
    from warmci.base.models import Canonical
    from warmci.operate.fsck import Problem
    from warmci.sweep.reconcile import Action

app = group()


@app.command("list")
def list_canonicals(json: Json = False) -> None:
    """Every recipe's canonical: version, state, lineage."""
    from warmci.operate.registry import open_store  # noqa: PLC0415

    store = open_store(read_settings())
    found: list[Canonical] = []
    unreadable: dict[str, InfraError] = {}
    for recipe in store.recipes():
        try:
            found += [canonical] if (canonical := store.load(recipe)) else []
        except InfraError as error:
            unreadable[recipe] = error
    if json:
        rest = [{"recipe": recipe, "state": "unreadable", "reason": str(e)} for recipe, e in unreadable.items()]
        print_data(as_json({"canonicals": [_public(canonical) for canonical in found] + rest}))
    else:
        rows: list[tuple[str, ...]] = [
            (c.recipe, c.version, c.state, " → ".join(past.version for past in c.lineage), c.snapshot) for c in found
        ]
        rows += [(recipe, "", "unreadable", "", "") for recipe in unreadable]
        columns = ("recipe", "version", "state", "lineage", "snapshot")
        Console().table(
            "canonicals", columns, rows, empty="no recipe has a canonical yet: warmci canonical seed RECIPE"
        )
    if unreadable:
        raise next(iter(unreadable.values()))


@app.command()
def show(recipe: Recipe, json: Json = False) -> None:
    """One canonical; of its secrets only the names."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from warmci.operate.canonical_facts import facts  # noqa: PLC0415
    from warmci.operate.registry import find_canonical, open_store  # noqa: PLC0415

    loaded = read_settings()
    found = find_canonical(open_store(loaded), recipe)
    if json:
        print_data(as_json(_public(found)))
        return
    console = Console()
    console.say(f"canonical of {recipe}", style="bold")
    for name, value in facts(loaded, found, datetime.now(UTC)):  # no table: what is folded cannot be copied
        for number, text in enumerate(value.splitlines()):
            console.say(f"  {'' if number else name:<10}  {text}")


@app.command()
def seed(recipe: Named, json: Json = False) -> None:
    """Make a canonical by a cold run of the default branch, where there is no good one."""
    from warmci.recipe.named import read_named  # noqa: PLC0415
    from warmci.sweep.reconcile import seed as seed_recipe  # noqa: PLC0415

    console, named = Console(), read_named(recipe)
    recipe = named.recipe
    result = seed_recipe(load_settings(), console, recipe, named.source)
    if json:
        print_data(as_json({"recipe": recipe, "run": result.model_dump(mode="json") if result else None}))
    if result is None:
        console.say(f"{recipe} has a good canonical; to start its data afresh: run_recipe_ci.py {named.word} --reseed")
        return
    if result.exit_code:
        console.error(f"{recipe} was not seeded: {result.summary}", result.hint or f"run_recipe_ci.py {named.word}")
        raise typer.Exit(result.exit_code)
    console.say(f"{recipe} {result.head_version} is its canonical now")


@app.command()
def reconcile(dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """Make the registry what the setting `recipes` declares: repair, seed what is missing, remove the rest."""
    from warmci.sweep.reconcile import reconcile as converge  # noqa: PLC0415

    console = Console()

    def agree(plan: list[Action]) -> bool:
        for action in plan:
            console.say(f"{action.do} {action.recipe}: {action.because}")
        doomed = [action.recipe for action in plan if action.do == "remove"]
        if dry_run or not doomed:
            return not dry_run
        return agreed(f"Remove the canonicals of {', '.join(doomed)} with their data?", yes=yes)

    actions, done = converge(load_settings(), console, agree)
    if json:
        print_data(as_json({"actions": [action.model_dump() for action in actions]}))
    if not actions:
        console.say("the registry is as declared")
    codes = [action.exit_code for action in actions if action.exit_code]
    if codes:
        console.error(f"{len(codes)} of {len(actions)} did not come about", "warmci canonical reconcile --dry-run")
        raise typer.Exit(min(codes))
    if actions and done:
        console.say("the registry is as declared now")


@app.command()
def fsck(
    recipe: Annotated[str, typer.Argument(help="name of a recipe; default: all")] = "",
    read_data: Annotated[bool, typer.Option("--read-data", help="read every byte of the snapshots")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Find what is wrong in the registry and repair it; never deletes what it cannot account for."""
    from warmci.operate.registry import check_registry, open_store, require_home  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    recipes = [require_home(open_store(loaded), recipe)] if recipe else []
    found = check_registry(loaded, console, recipes, read_data=read_data, dry_run=dry_run)
    if json:
        print_data(as_json({"problems": [problem.model_dump() for problem in found]}))
    else:
        for problem in found:
            console.say(f"{problem.recipe}: {problem.what}: {_fate(problem)}")
    left = [problem for problem in found if not problem.is_over]
    if left:
        raise InfraError(
            f"{len(left)} of {len(found)} problems are left",
            hint="warmci canonical fsck" if dry_run else left[0].hint or "warmci doctor",
        )
    console.say("the registry is in order" + (f", {len(found)} problems were repaired" if found else ""))


@app.command()
def remove(recipe: Recipe, dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """Forget a canonical and throw away its data."""
    from warmci.operate.registry import RemovalPlan, remove_canonical  # noqa: PLC0415

    console = Console()

    def agree(plan: RemovalPlan) -> bool:
        console.say(f"remove the canonical of {recipe}: {plan.canonical}")
        for info in plan.snapshots:
            console.say(f"  snapshot {info.id}: {info.files} files, {size(info.bytes)}")
        if json and dry_run:
            print_data(as_json(plan.model_dump(mode="json")))
        return not dry_run and agreed("Remove it?", yes=yes)

    done = remove_canonical(load_settings(), console, recipe, agree)
    if done is None:
        return
    if json:
        print_data(as_json(done.model_dump(mode="json")))
    console.say(f"removed the canonical of {recipe}")


def _fate(problem: Problem) -> str:
    if problem.repaired:
        return f"done: {problem.remedy}"
    return problem.remedy or f"cannot be repaired; {problem.hint}"


def _public(canonical: Canonical) -> dict[str, object]:
    return {**canonical.model_dump(mode="json"), "secrets": sorted(canonical.secrets)}


@app.command("open")
def open_canonical(recipe: Recipe, keep_for: KeepFor = KEEP_FOR) -> None:
    """Run a canonical's app on a throw-away view of its data, to look at and play with; gone at Ctrl-C."""
    from warmci.base.models import Mode, Verdict  # noqa: PLC0415
    from warmci.operate.registry import find_canonical, open_store  # noqa: PLC0415
    from warmci.recipe.sources import to_name  # noqa: PLC0415
    from warmci.run.context import Request  # noqa: PLC0415
    from warmci.run.run import run_recipe  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    found = find_canonical(open_store(loaded), recipe)
    source = to_name(loaded, recipe, found.source)
    request = Request(recipe, Mode.OPEN, found.commit, source=source, keep="always", keep_s=seconds_of(keep_for))
    result = run_recipe(loaded, console, request, told=lambda _: console.say("Ctrl-C ends it", style="bold"))
    if result.verdict is not Verdict.PASS:
        console.error(result.summary, result.hint or f"warmci run show {result.run}")
        raise typer.Exit(result.exit_code)
    console.say(f"closed: the canonical of {recipe} is as it was")


@app.command()
def drill(recipe: Recipe, json: Json = False) -> None:
    """Boot a canonical from its snapshot as it is, run its tests on its data, and roll back: can it be gone back to?"""
    from warmci.base.models import Mode, Verdict  # noqa: PLC0415
    from warmci.operate.registry import find_canonical, open_store  # noqa: PLC0415
    from warmci.recipe.sources import to_name  # noqa: PLC0415
    from warmci.run.context import Request  # noqa: PLC0415
    from warmci.run.run import run_recipe  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    found = find_canonical(open_store(loaded), recipe)
    source = to_name(loaded, recipe, found.source)
    result = run_recipe(loaded, console, Request(recipe, Mode.DRILL, found.commit, source=source))
    if json:
        print_data(result.model_dump_json(indent=2))
    if result.verdict is not Verdict.PASS:
        console.error(result.summary, result.hint or f"warmci run show {result.run}")
    console.say(f"{result.verdict.upper()} drill of {recipe} {found.version} in {result.seconds:.1f} s")
    raise typer.Exit(result.exit_code)
