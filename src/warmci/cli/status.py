"""`warmci status`: one screen."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from warmci.base.text import age
from warmci.cli.common import Json, load_settings
from warmci.report.console import Console, print_data

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.operate.everywhere import NodeStatus
    from warmci.operate.status import CanonicalState, IngressState, Status

_WATCH_S = 2.0
_MISSING = {"none": "has no canonical", "dirty": "its canonical is dirty", "unreadable": "its canonical is unreadable"}


def status(
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="look again every two seconds, until Ctrl-C")] = False,
    everywhere: Annotated[
        bool, typer.Option("--all", help="every worker of the swarm: this node now, the others as of their last sweep")
    ] = False,
) -> None:
    """Canonicals, Keycloak, ingress, what runs and ran, slots, disk, the last sweep, alerts: one screen."""
    from warmci.operate.status import look  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    if everywhere:
        _show_everywhere(loaded, console, json=json)
        return
    while True:
        seen = look(loaded)
        if watch:
            console.clear()
        if json:
            print_data(seen.model_dump_json(indent=None if watch else 2))
        else:
            _show(console, seen)
        if not watch:
            return
        time.sleep(_WATCH_S)


def _show(console: Console, seen: Status) -> None:
    rows = [
        (c.recipe, c.version, c.state, age(c.age_s) if c.version else "", *_past(c), *_verdicts(c))
        for c in seen.canonicals
    ]
    columns = ("recipe", "version", "state", "age", "lineage", "last cold", "last quick")
    if rows:
        console.table("canonicals", columns, rows)
    else:
        console.say("no recipe is enrolled (setting recipes), and none has a canonical yet: run_recipe_ci.py RECIPE")
    for one in seen.canonicals:
        if one.next:
            console.say(f"{one.recipe}: {_MISSING.get(one.state, one.state)}; next: {one.next}", style="yellow")
    if any(problem.startswith("keycloak: ") for problem in seen.problems):
        console.say("Keycloak: not known, see below", style="yellow")
    elif seen.keycloak is None:
        console.say("Keycloak: no live one (warmci keycloak reconcile)")
    else:
        health = f"{seen.keycloak.realms} realms" if seen.keycloak.healthy else f"NOT healthy: {seen.keycloak.detail}"
        console.say(f"Keycloak: {seen.keycloak.version} at {seen.keycloak.url}, {health}")
    if seen.ingress is not None:
        console.say(f"ingress {seen.ingress.setting}: {_live_traefik(seen.ingress)}")
    _show_work(console, seen)
    for alert in seen.alerts:
        console.say(f"alert: {alert.subject} since {alert.since:%F %T} UTC: {alert.message}", style="bold yellow")
        console.say(f"hint: {alert.hint}")
    for problem in seen.problems:
        console.say(f"not known: {problem}", style="yellow")


def _show_everywhere(settings: Settings, console: Console, *, json: bool) -> None:
    from warmci.operate.everywhere import look_everywhere  # noqa: PLC0415
    from warmci.swarm.engine import Engine  # noqa: PLC0415

    engine = Engine(settings.docker_host)
    engine.require_swarm()
    seen = look_everywhere(settings, engine)
    if json:
        print_data(seen.model_dump_json(indent=2))
        return
    columns = ("node", "swarm", "seen", "canonicals", "not good", "sweep", "alerts")
    console.table("workers", columns, [_row(node) for node in seen.nodes])
    for node in seen.nodes:
        for alert in node.status.alerts if node.status else ():
            console.say(f"{node.name}: alert: {alert.subject} since {alert.since:%F %T} UTC: {alert.message}")


def _row(node: NodeStatus) -> tuple[str, ...]:
    state, status = "ready" if node.live else "away", node.status
    if status is None:
        return (node.name, state, "never (warmci sweep --shard there)", "", "", "", "")
    seen = "now" if node.here else f"{age((datetime.now(UTC) - status.at).total_seconds())} ago"
    known = [item for item in status.canonicals if item.state != "none"]
    bad = ", ".join(item.recipe for item in known if item.state != "good")
    sweep = status.sweep.verdict if status.sweep else "none yet"
    return (node.name, state, seen, str(len(known)), bad, sweep, str(len(status.alerts)))


def _live_traefik(ingress: IngressState) -> str:
    if not ingress.version:
        return "no live Traefik (warmci ingress status)"
    health = "serves" if ingress.healthy else f"NOT healthy: {ingress.detail}"
    return f"live Traefik {ingress.version} at {ingress.url}, {health}"


def _show_work(console: Console, seen: Status) -> None:
    under_way = {
        item.run: f"{item.recipe} {item.holder}, {item.phase or 'beginning'}" for item in seen.locks if item.run
    }
    said = f": {'; '.join(under_way.values())} (warmci locks)" if under_way else ""
    console.say(f"slots: {seen.slots_held} of {seen.slots} in use{said}")
    for run in seen.runs:
        pr = f" PR {run.pr}" if run.pr else ""
        ago = age((seen.at - run.started).total_seconds())
        console.say(
            f"run: {run.verdict.upper()} {run.mode} {run.recipe}{pr}, {run.seconds:.0f} s, began {ago} ago, {run.run}"
        )
    if seen.disk is not None:
        low = "; LOW (warmci prune)" if seen.disk.low else ""
        console.say(f"disk: {seen.disk.room}{low}", style="bold yellow" if low else "")
    if seen.sweep is None:
        console.say("sweep: none yet (warmci sweep)")
    else:
        unfinished = "under way" if seen.sweep.under_way else "stopped before its end; next: warmci sweep"
        done = seen.sweep.verdict if seen.sweep.finished else unfinished
        console.say(f"sweep: {seen.sweep.id}, {done}")


def _verdicts(one: CanonicalState) -> tuple[str, str]:
    """Without the run's id, which the lines below say whole."""
    return one.last_cold.partition(" by ")[0], one.last_quick.partition(" by ")[0]


def _past(one: CanonicalState) -> tuple[str]:
    return (" → ".join(one.lineage),)
