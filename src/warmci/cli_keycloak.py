"""`warmci keycloak`: the live-warm Keycloak of this host."""

from __future__ import annotations

import typer

from warmci.cli_common import Yes, group, load_settings
from warmci.console import Console

app = group()


@app.command()
def up() -> None:
    """Deploy the live-warm Keycloak, or see that it is healthy."""
    from warmci import provider  # noqa: PLC0415
    from warmci.live import bring_up  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    serving, started = bring_up(loaded, console)
    console.say(f"{provider.RECIPE} {serving.version} at {serving.url}, {'started' if started else 'healthy already'}")


@app.command()
def down(yes: Yes = False) -> None:
    """Remove the live-warm Keycloak with its data; runs then deploy their own."""
    from warmci.live import take_down  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    console.say(f"to be removed: the live Keycloak, its realms and its data in {loaded.live_dir}")
    if not yes:
        typer.confirm("remove it?", abort=True, err=True)
    for line in take_down(loaded):
        console.say(f"removed {line}")
