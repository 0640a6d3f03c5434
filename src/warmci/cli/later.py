"""The commands of `warmci`, each of whose module is imported when it is asked for; a list of them needs none."""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLD = {
    "status": "Canonicals, Keycloak, ingress, what runs and ran, slots, disk, the last sweep, alerts: one screen.",
    "sweep": "Run every enrolled recipe cold, at most MAX_TESTS at once; go on where a stopped sweep ended.",
    "locks": "Who holds which recipe, slot, sweep or reconcile: run, pull request, phase, since when, and the expected"
    " end.",
    "metrics": "Print what metrics_file gets after each run: canonicals, last verdicts, slots, disk, the last sweep.",
    "completion": "Print what makes a shell complete both programs:"
    " `warmci completion bash > /etc/bash_completion.d/warmci`.",
    "prune": "Throw away trash, what dead runs left, snapshots that no canonical names, old runs and sweeps.",
    "recover": "Clean up after killed runs; every run does this first.",
    "doctor": "Check what a run needs: engine, swarm, state directory, ingress, Keycloak, settings, recipes, forge,"
    " webhook.",
    "keycloak": "The live-warm Keycloak.",
    "ingress": "The live-warm Traefik, and its CA.",
    "realms": "The throw-away realms at the live Keycloak.",
    "canonical": "The registry of known-good recipes.",
    "recipe": "Recipes: begin one, look at one, list them.",
    "snapshot": "The data of canonicals.",
    "run": "One run: what it said, and its app while that is kept.",
    "site": "The overview of all recipes, as static pages.",
    "demo": "Tell WarmCI's story on a real swarm: what cold misses and quick catches.",
    "trigger": "What a comment or a CI's event asks for.",
}
"""Every command in the order of the help, and its first sentence: of a group the only one, else as in its function."""
_MODULES = {"run": "kept"}
"""Where a module has another name than its command."""


class LaterGroup(TyperGroup):
    """Those that the app itself has, and the others of TOLD once they are asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        told = {name: TyperCommand(name, help=text) for name, text in TOLD.items()}
        TyperGroup(name=self.name, commands={**told}).format_commands(ctx, formatter)


class _Commands(MutableMapping[str, Any]):
    def __init__(self, here: MutableMapping[str, Any]) -> None:
        self._here = here

    def __getitem__(self, name: str) -> Any:
        if name not in self._here and name in TOLD:
            self._here[name] = _imported(name)
        return self._here[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._here[name] = command

    def __delitem__(self, name: str) -> None:
        del self._here[name]

    def __contains__(self, name: object) -> bool:
        return name in TOLD or name in self._here

    def __iter__(self) -> Iterator[str]:
        yield from TOLD

    def __len__(self) -> int:
        return len(TOLD)


def _imported(name: str) -> Any:
    """The module's `app`, a group, or its function of the command's name."""
    module = import_module(f"warmci.cli.{_MODULES.get(name, name)}")
    parent = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    parent.callback()(_nothing)  # with one command and no callback, typer makes no group of it
    if hasattr(module, "app"):
        parent.add_typer(module.app, name=name, help=TOLD[name])
    else:
        parent.command()(getattr(module, name))
    return typer.main.get_group(parent).commands[name]


def _nothing() -> None:
    return
