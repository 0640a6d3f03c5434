"""`warmci keycloak`: the live-warm Keycloak of this host."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  (typer reads the annotation)
from typing import TYPE_CHECKING, Annotated

import typer

from warmci.base.errors import UsageError
from warmci.cli.common import Json, Yes, agreed, as_json, group, load_settings
from warmci.report.console import Console, print_data

if TYPE_CHECKING:
    from pydantic import SecretStr

app = group()


@app.command()
def reconcile(
    accept: Annotated[str, typer.Option(help="a version that was held back and that you let through now")] = "",
    json: Json = False,
) -> None:
    """Make the live Keycloak serve, at the newest release that needs no person; upgrades have a way back."""
    from warmci.live.keycloak import reconcile as converge  # noqa: PLC0415
    from warmci.live.plan import Action  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    done = converge(loaded, console, accept=accept)
    if json:
        facts = {"action": done.action, "version": done.version, "url": done.url, "reason": done.reason}
        print_data(as_json(facts))
    said = {
        Action.UNCHANGED: "as wanted already",
        Action.START: "started",
        Action.DEPLOY: "deployed",
        Action.UPGRADE: f"upgraded {done.reason}",
        Action.HOLD: f"held: {done.reason}",
    }
    more = f" ({done.reason})" if done.reason and done.action in (Action.UNCHANGED, Action.START) else ""
    console.say(f"keycloak {done.version} at {done.url}: {said[done.action]}{more}")


@app.command()
def bootstrap(
    url: Annotated[str, typer.Option(help="use a Keycloak that others run, at this URL")] = "",
    username: Annotated[str, typer.Option(help="administrator of its master realm; default: admin")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="file with the administrator's password, `-` for standard input; default: ask")
    ] = None,
    json: Json = False,
) -> None:
    """Make the service account that runs use, by an administrator; once, or again to replace its secret.

    The live Keycloak's own administrator is known; name him where he was changed in Keycloak itself.
    """
    from warmci.live import keycloak  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    administrator = None
    if url or username or password_file is not None:
        administrator = keycloak.Administrator(username or "admin", _password(password_file))
    if url and administrator:
        name = keycloak.adopt(loaded, console, url, administrator)
    else:
        name = keycloak.bootstrap(loaded, console, administrator)
    if json:
        print_data(as_json({"account": name}))
    console.say(f"service account {name}: its secret is kept in {loaded.live_dir}")


def _password(file: Path | None) -> SecretStr:
    from pydantic import SecretStr  # noqa: PLC0415  (--help stays quick)

    if file is None:
        return SecretStr(typer.prompt("administrator's password", hide_input=True, err=True))
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}", hint="name a file that holds the password") from error
    if not text.strip():
        raise UsageError(f"{file} holds no password", hint="its first line is the password")
    return SecretStr(text.splitlines()[0])


@app.command()
def down(yes: Yes = False, json: Json = False) -> None:
    """Remove the live-warm Keycloak with its data; runs then deploy their own. One of others is only forgotten."""
    from warmci.live.keycloak import take_down  # noqa: PLC0415

    loaded, console = load_settings(), Console()
    console.say(f"to be removed: the live Keycloak, its realms and its data in {loaded.live_dir}")
    agreed("Remove it?", yes=yes)
    removed = take_down(loaded, console)
    for line in removed:
        console.say(f"removed {line}")
    if json:
        print_data(as_json({"removed": list(removed)}))
