"""What Docker's CLI made of checkouts that stay as they are: a run reads each of its documents two or three times."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from warmci.recipe import compose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from warmci.base.docker_cli import DockerCli
    from warmci.recipe.compose_text import Document


class Loads:
    """The answers of recipe/compose.py for one clone; what was refused is asked again."""

    def __init__(self) -> None:
        self._documents: dict[object, Document] = {}
        self._variables: dict[object, dict[str, list[str]]] = {}

    def document(self, root: Path, files: Sequence[str], scope: Mapping[str, str], cli: DockerCli) -> Document:
        """As compose.load_compose; the caller's own to change."""
        asked = (root, tuple(files), tuple(sorted(scope.items())), cli.path)
        if asked not in self._documents:
            self._documents[asked] = compose.load_compose(root, files, scope, cli)
        return copy.deepcopy(self._documents[asked])

    def secret_variables(self, root: Path, files: Sequence[str], cli: DockerCli) -> Mapping[str, Sequence[str]]:
        """As compose.secret_variables."""
        asked = (root, tuple(files), cli.path)
        if asked not in self._variables:
            self._variables[asked] = compose.secret_variables(root, files, cli)
        return self._variables[asked]
