"""A recipe's variables under harmless names, so that Docker's CLI can be given their values in its environment.

A recipe may well have a variable DOCKER_HOST or LD_PRELOAD. In the text of its compose files each name after `$` or
`${` is replaced; whatever comes back gets the real names again.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from warmci.base.errors import RecipeFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

# docker/cli, cli/compose/template: (?i)[_a-z][_a-z0-9]*, where folding case lets two more letters in.
_REFERENCE = re.compile("\\$\\$|(\\$\\{?)([A-Za-z_\u017f\u212a][A-Za-z0-9_\u017f\u212a]*)")
_MAX_VALUE = 100_000
"""Bytes; the kernel takes 128 KiB for one variable (execve(2))."""
_MAX_ALL = 1_000_000


@dataclass
class Variables:
    """What stands for what in one loading; the prefix is new each time, so that no text can hold it."""

    scope: Mapping[str, str]
    prefix: str = field(default_factory=lambda: f"WARMCI_{secrets.token_hex(6)}_")
    _known: dict[str, int] = field(default_factory=dict)

    def _stand_in(self, number: int) -> str:
        """Ends in what is no digit: the CLI may put one behind it, as for `${A:-$B}7`."""
        return f"{self.prefix}{number}_"

    def out(self, text: str) -> str:
        """The text with harmless names; `$$` stays."""

        def renamed(match: re.Match[str]) -> str:
            if match[2] is None:
                return match[0]
            return f"{match[1]}{self._stand_in(self._known.setdefault(match[2], len(self._known)))}"

        return _REFERENCE.sub(renamed, text)

    @property
    def names(self) -> list[str]:
        return list(self._known)

    def environment(self) -> dict[str, str]:
        """The harmless names of the variables that are set. Raises RecipeFailedError for what no environment takes."""
        found = {}
        for name, number in self._known.items():
            value = self.scope.get(name)
            if value is None:
                continue
            if "\0" in value or len(value.encode()) > _MAX_VALUE:
                what = "holds a NUL byte" if "\0" in value else f"is longer than {_MAX_VALUE} bytes"
                raise RecipeFailedError(f"the value of {name} {what}")
            found[self._stand_in(number)] = value
        if sum(map(len, found.values())) > _MAX_ALL or len(found) > _MAX_ALL // 100:
            raise RecipeFailedError(f"the compose files name {len(found)} variables with too much in them")
        return found

    def back(self, value: Any) -> Any:
        """Text or a parsed document, keys as well, with the real names."""
        if isinstance(value, str):
            if self.prefix not in value:
                return value
            names = self.names
            return re.sub(rf"{self.prefix}(\d+)_", lambda match: names[int(match[1])], value)
        if isinstance(value, dict):
            return {self.back(key): self.back(item) for key, item in value.items()}
        return [self.back(item) for item in value] if isinstance(value, list) else value
