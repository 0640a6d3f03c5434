"""How a plan is shown (`run_recipe_ci.py R --plan`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.report.console import print_data

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.report.console import Console
    from warmci.run.context import Request
    from warmci.run.plan import Plan


def tell_plan(settings: Settings, console: Console, request: Request, *, as_json: bool) -> int:
    """Print what a run would do; the exit code is the one that it would end with, as far as that is known."""
    from warmci.run.plan import plan  # noqa: PLC0415  (--help stays quick)

    made = plan(settings, request, lambda text: console.say(text, style="yellow"))
    if as_json:
        print_data(made.model_dump_json(indent=2))
    else:
        _show(console, made)
    for obstacle in made.obstacles:
        console.error(f"{obstacle.of}: {obstacle.says}", obstacle.hint)
    style = "bold red" if made.obstacles else "bold green"
    ahead = f"stands in its way: {len(made.obstacles)}" if made.obstacles else "nothing stands in its way"
    console.say(f"{made.runs} {made.recipe} {made.head_version}: {ahead} (exit code {made.exit_code})", style)
    return made.exit_code


def _show(console: Console, made: Plan) -> None:
    facts = {
        "repository": made.source,
        "runs": f"{made.runs}, because {made.because}" if made.because else str(made.runs),
        "base": f"{made.base_version} {made.base_commit[:8]}" if made.base_commit else "none: a first release",
        "head": f"{made.head_version} {made.head_commit[:8]}, {made.ref}",
        "promotion": made.promotion,
        "ingress": str(made.ingress),
        "images": ", ".join(made.images),
    }
    facts |= {f"tests ({phase})": ", ".join(tests) or "generic ones only" for phase, tests in made.tests.items()}
    facts |= {lock.lock: f"held by {lock.holder}, since {lock.since}" for lock in made.locks}
    console.table(f"plan of {made.recipe}", ("fact", "value"), list(facts.items()))
    if made.changes:
        rows = [(change.kind, change.what, change.before, change.after) for change in made.changes]
        console.table("what the upgrade changes", ("kind", "what", "base", "head"), rows)
    for said in made.deviations:
        console.say(f"deviation: {said}")
