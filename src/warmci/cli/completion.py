"""Shell completion of both programs: what `warmci completion` prints, and the answers to the shell's questions."""

from __future__ import annotations

import os
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

import typer  # noqa: TC002  (typer reads the annotations when it runs)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The shell asks by these variables; typer's own choice would hold the dot of run_recipe_ci.py, which no shell takes.
_VARIABLES = {"warmci": "_WARMCI_COMPLETE", "run_recipe_ci.py": "_RUN_RECIPE_CI_COMPLETE"}


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(context: typer.Context, shell: Shell) -> None:
    """Print what makes a shell complete both programs: `warmci completion bash > /etc/bash_completion.d/warmci`."""
    from typer.completion import get_completion_inspect_parameters, shell_complete  # noqa: PLC0415

    get_completion_inspect_parameters()  # registers typer's shells
    for program, variable in _VARIABLES.items():
        shell_complete(context.find_root().command, {}, program, variable, f"source_{shell}")


def completing(app: typer.Typer, program: str) -> Callable[[Sequence[str]], object]:
    """The app, ready to answer when a shell asks it what could come next."""
    variable = _VARIABLES[program]
    if variable in os.environ:
        from typer.completion import get_completion_inspect_parameters  # noqa: PLC0415

        get_completion_inspect_parameters()
    return partial(app, complete_var=variable, standalone_mode=False)  # errors are exits.py's to tell


def recipe_names(incomplete: str) -> list[str]:
    """Recipes that this host knows: configured, enrolled, or with a canonical. A shell gets no errors, and no state."""
    from warmci.base import settings  # noqa: PLC0415
    from warmci.base.errors import WarmciError  # noqa: PLC0415

    try:
        loaded = settings.load()
        named = {path.parent.name for path in loaded.recipes_dir.glob("*/recipe.toml")}
        named |= {path.parent.name for path in loaded.state_dir.glob("[a-z0-9]*/canonical.json")}
    except (WarmciError, OSError):
        return []
    return sorted(name for name in named | set(loaded.recipes) if name.startswith(incomplete))
