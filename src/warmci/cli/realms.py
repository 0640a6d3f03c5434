"""`warmci realms`: the throw-away realms at the live Keycloak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from warmci.base.errors import InfraError
from warmci.cli.common import Json, as_json, group, load_settings
from warmci.report.console import Console, print_data

if TYPE_CHECKING:
    from warmci.sso.reaper import StaleRealm

app = group()


@app.command("list")
def list_all(json: Json = False) -> None:
    """WarmCI's realms at the live Keycloak that this host's account sees, and whether their run lives."""
    from warmci.live.realms import survey  # noqa: PLC0415

    rows = survey(load_settings())
    if json:
        print_data(as_json({"realms": [row.model_dump(mode="json") for row in rows]}))
        return
    cells = [(row.realm.name, row.state, row.realm.run, row.realm.host, f"{row.realm.created:%F %T}") for row in rows]
    columns = ("realm", "state", "run", "host", "created (UTC)")
    Console().table("realms", columns, cells, empty="there is no realm of a run; each run that needs one makes its own")


@app.command()
def reap(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would be deleted, and stop")] = False,
    json: Json = False,
) -> None:
    """Delete the realms of dead runs; every run does this first. Exit code 3 when one could not be deleted."""
    from warmci.live import realms  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    with realms.plan(loaded) as planned:
        _show(console, planned.stale, json=json and dry_run)
        if dry_run:
            return
        done = realms.reap(planned)
    if json:
        print_data(as_json(done.model_dump(mode="json")))
    for name in done.deleted:
        console.say(f"removed realm {name}")
    if done.postponed:
        console.say(f"{len(done.postponed)} more are left to the next pass (setting realm_reap_max)")
    console.say(f"{len(done.deleted)} deleted, {len(done.failed)} failed, {len(done.postponed)} postponed")
    if done.failed:
        name, reason = next(iter(done.failed.items()))
        raise InfraError(f"{len(done.failed)} realms could not be deleted; {name}: {reason}", hint="warmci doctor")


def _show(console: Console, stale: tuple[StaleRealm, ...], *, json: bool) -> None:
    if json:
        print_data(as_json({"realms": [item.model_dump(mode="json") for item in stale]}))
        return
    for item in stale:
        console.say(f"to be deleted: {item.realm.name}: {item.reason}")
    if not stale:
        console.say("no realm is stale")
