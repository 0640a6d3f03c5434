"""`warmci demo`: WarmCI's story, and the roll-back proof, on real parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from warmci.report.console import Console

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
DEMO_ROOT = Path("/var/lib/ci-warm-demo")
Root = Annotated[Path, typer.Option(help="directory of the demo's engine, state and recipes")]
Keep = Annotated[bool, typer.Option("--keep", help="leave a private engine running, to try commands by hand")]


@app.callback()
def demo(
    context: typer.Context,
    clean: Annotated[bool, typer.Option("--clean", help="remove everything that the demo made")] = False,
    keep: Keep = False,
    root: Root = DEMO_ROOT,
) -> None:
    """Tell WarmCI's story on a real swarm: what cold misses and quick catches."""
    from warmci.demo import story  # noqa: PLC0415

    if context.invoked_subcommand:
        return
    console = Console()
    host = _host()
    if clean:
        for line in story.clean(root, host, console):
            console.say(f"removed {line}")
        return
    if not story.play(root, host, console, keep=keep):
        raise typer.Exit(1)


@app.command()
def rollback(keep: Keep = False, root: Root = DEMO_ROOT) -> None:
    """Prove that nothing harms a canonical: a red PR, a green PR, kill -9; its hash after each, and the app booted."""
    from warmci.demo import story  # noqa: PLC0415
    from warmci.demo.rollback import Proof  # noqa: PLC0415

    if not story.play(root, _host(), Console(), keep=keep, story=Proof):
        raise typer.Exit(1)


def _host() -> str:
    from warmci.base.settings import default_docker_host  # noqa: PLC0415

    return default_docker_host()
