"""Docker's CLI: which one, and how old. It reads the recipes and submits the stacks.

`stack config` came with 23. Up to 27 it read YAML 1.1 by yaml.v2: `yes` and `n` are booleans, of two equal keys the
last counts. From 28 on, by yaml.v3, it refuses the second key and keeps such words (docker/cli, cli/compose/loader).
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from warmci.base import process
from warmci.base.errors import InfraError

_LEAST = (23, 0)
_CURRENT = (28, 0)
_VERSION = re.compile(r"Docker version (\d+)\.(\d+)\S*?,")
_TIMEOUT_S = 30.0
HINT = "install Docker's own docker-ce-cli; or a checkout's scripts/install-tools engine builds one; or set docker_cli"


TOOLS_DIR = Path("/var/cache/warmci/tools")
"""Where scripts/install-tools puts what it builds, once for the machine."""


@dataclass(frozen=True)
class DockerCli:
    path: Path
    """Absolute."""
    version: tuple[int, int]

    @property
    def is_current(self) -> bool:
        """Whether it reads YAML as those of today do."""
        return self.version >= _CURRENT

    def __str__(self) -> str:
        return f"{self.version[0]}.{self.version[1]} at {self.path}"


@cache
def find(setting: Path | None) -> DockerCli:
    """The CLI that the setting names; else of `docker` on PATH and those built here the first that is current.

    Where none is, the first that can read a recipe at all. Raises InfraError that says of each what is wrong with it.
    """
    on_path = shutil.which("docker")
    built = sorted(TOOLS_DIR.glob("docker-*"), key=_by_number, reverse=True)
    candidates = [setting] if setting else [*([Path(on_path)] if on_path else []), *built]
    found = [DockerCli(path.absolute(), _version(path)) for path in candidates]
    able = [cli for cli in found if cli.version >= _LEAST]
    if able:
        return next((cli for cli in able if cli.is_current), able[0])
    unfit = [f"{cli.path} is {f'{cli.version[0]}.{cli.version[1]}' if cli.version[0] else 'none'}" for cli in found]
    said = "; ".join(unfit) or "none is on PATH"
    raise InfraError(f"Docker's CLI from {_LEAST[0]} on is needed: {said}", hint=HINT)


def _by_number(path: Path) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", path.name)]


def _version(path: Path) -> tuple[int, int]:
    """(0, 0) for what is no Docker CLI that runs here."""
    if not os.access(path, os.X_OK):
        return (0, 0)
    try:
        said = process.run([str(path.absolute()), "--version"], timeout_s=_TIMEOUT_S, check=False).stdout
    except (InfraError, OSError):
        return (0, 0)
    found = _VERSION.match(said)
    return (int(found[1]), int(found[2])) if found else (0, 0)
