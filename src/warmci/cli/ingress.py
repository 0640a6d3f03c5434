"""`warmci ingress`: the live-warm Traefik of this host, and the CA of its certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from warmci.base.errors import InfraError
from warmci.cli.common import Json, Yes, agreed, as_json, group, load_settings, read_settings
from warmci.report.console import Console, print_data

if TYPE_CHECKING:
    from warmci.live.choice import Converged

app = group()


@app.command()
def reconcile(
    accept: Annotated[str, typer.Option(help="a version that was held back and that you let through now")] = "",
    json: Annotated[bool, typer.Option("--json", help="print what was done as JSON on standard output")] = False,
) -> None:
    """Make the live Traefik serve, at the newest release that needs no person; upgrades have a way back."""
    from warmci.live.ingress import reconcile as converge  # noqa: PLC0415  (--help stays quick)

    loaded, console = load_settings(), Console()
    done = converge(loaded, console, accept=accept)
    if json:
        print_data(as_json({"action": done.action, "version": done.version, "url": done.url, "reason": done.reason}))
    console.say(f"traefik {done.version} at {done.url}: {_said(done)}")


def _said(done: Converged) -> str:
    from warmci.live.plan import Action  # noqa: PLC0415

    said = {
        Action.UNCHANGED: "as wanted already",
        Action.START: "started",
        Action.DEPLOY: "deployed",
        Action.UPGRADE: f"upgraded {done.reason}",
        Action.HOLD: f"held: {done.reason}",
    }
    more = f" ({done.reason})" if done.reason and done.action in (Action.UNCHANGED, Action.START) else ""
    return said[done.action] + more


@app.command()
def status(json: Json = False) -> None:
    """Which ingress a run would take now, and why."""
    from warmci.live.ingress import look  # noqa: PLC0415

    found = look(load_settings())
    if json:
        print_data(as_json(found.model_dump(mode="json")))
    else:
        Console().say(f"ingress {found.setting}: {found.problem or found.said}")
    if found.problem:
        raise typer.Exit(InfraError.exit_code)


@app.command()
def ca() -> None:
    """Print the CA's certificate (PEM), for browsers and tools that are to trust names under base_domain."""
    from warmci.base.authority import make_authority  # noqa: PLC0415
    from warmci.base.state import open_state  # noqa: PLC0415

    loaded = read_settings()
    open_state(loaded.state_dir, floor_bytes=0)
    print_data(make_authority(loaded).rstrip("\n"))


@app.command()
def down(yes: Yes = False, json: Json = False) -> None:
    """Remove the live-warm Traefik; with `ingress = "auto"` runs then go without. The CA stays."""
    from warmci.live.ingress import take_down  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    console.say(f"to be removed: the live Traefik and its record in {loaded.ingress_dir}")
    agreed("remove it?", yes=yes)
    removed = take_down(loaded, console)
    for line in removed:
        console.say(f"removed {line}")
    if json:
        print_data(as_json({"removed": list(removed)}))
