"""A recipe as `warmci recipe init` makes it, to be changed commit by commit, and what is found in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.upstream import Upstream
from warmci.base.models import Ingress
from warmci.base.settings import Settings
from warmci.recipe.config import load_config
from warmci.recipe.repository import clone
from warmci.recipe.starter import make_recipe
from warmci.recipe.untestable import Finding, examine

if TYPE_CHECKING:
    from pathlib import Path


class Begun(Upstream):
    def __init__(self, home: Path) -> None:
        self.settings = Settings(state_dir=home / "state", recipes_dir=home / "operator")
        self.path, self.operator = make_recipe("demo", home, self.settings.recipes_dir)
        self._looks = home / "looks"

    def change(self, old: str, new: str, *, file: str = "compose.yml") -> None:
        path = self.path / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change")

    def findings(self) -> list[Finding]:
        work = self._looks / str(len(list(self._looks.glob("*"))))
        work.mkdir(parents=True)
        repository = clone(self.settings, "demo", work, str(self.path))
        config = load_config(self.settings.recipes_dir, "demo")
        return examine(self.settings, config, repository, repository.resolve("main"), Ingress.DIRECT, config.scheme)

    def said(self) -> list[str]:
        return [f"{found.level} {found.what}: {found.says}" for found in self.findings() if found.level != "note"]
