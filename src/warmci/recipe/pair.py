"""Base and head of an upgrade, each read as a run would read it, and all that would make that run red."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from warmci.base.models import Line, Record, Verdict
from warmci.recipe.changes import Change, changes, frozen_configs
from warmci.recipe.reading import missing_secrets, read_commit
from warmci.recipe.replaced import changed_services
from warmci.recipe.trust_gate import allow_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.base.settings import Settings
    from warmci.recipe.config import RecipeConfig
    from warmci.recipe.reading import Reading
    from warmci.recipe.render import Placement, Rendered
    from warmci.recipe.repository import Repository


class Obstacle(Record):
    """Why the run would not be green. `allow`: the word for recipe.toml, where the operator may let it pass."""

    of: Literal["head", "base", "upgrade", "tests"]
    verdict: Verdict
    says: Line
    hint: Line = ""
    allow: Line = ""


class Pair:
    def __init__(
        self,
        settings: Settings,
        config: RecipeConfig,
        repository: Repository,
        placement: Placement,
        head: str,
        aged: tuple[str, str] | None = None,
    ) -> None:
        """aged: commit and env commit of the canonical that a quick run starts from; a cold one starts from a release.

        Raises InfraError without a Docker CLI.
        """

        def read(commit: str, env_commit: str = "") -> Reading:
            return read_commit(settings, config, repository, placement, commit, env_commit)

        self._config, self._is_quick = config, aged is not None
        release = None if aged else repository.base_for(head)
        self.base_commit, env_commit = aged or ((release.commit, release.commit) if release else ("", ""))
        self.head = read(head)
        self.base = read(self.base_commit, env_commit) if self.base_commit else None
        self.upgraded = read(head, env_commit) if self.base_commit else None

    def obstacles(self) -> list[Obstacle]:
        """The head's own first, as a cold run meets them; quick installs the canonical before."""
        parts: list[tuple[Literal["head", "base", "upgrade"], Reading | None]] = [
            ("head", None if self._is_quick else self.head),
            ("base", self.base),
            ("upgrade", self.upgraded),
        ]
        found: list[Obstacle] = []
        for of, reading in parts:
            for new in _of_reading(of, reading, self._config) if reading else ():
                if new.says not in {old.says for old in found}:
                    found.append(new)
        return [*found, *self._of_upgrade()]

    def _of_upgrade(self) -> Iterator[Obstacle]:
        if (both := self._rendered) is None:
            return
        hint = "raise its version in abra.sh, so that it gets another name"
        for says in frozen_configs(both[0].document, both[1].document):
            yield Obstacle(of="upgrade", verdict=Verdict.FAIL, says=says, hint=hint)
        if self._is_quick and not changed_services(*both):
            says = "the head changes no service of the canonical: quick would test nothing of it"
            yield Obstacle(of="upgrade", verdict=Verdict.UNVERIFIED, says=says, hint="leave out --quick")

    def changes(self) -> tuple[Change, ...]:
        return tuple(changes(*self._rendered)) if self._rendered else ()

    def images(self) -> tuple[str, ...]:
        named = [reading.rendered.images.values() for reading in self._readings() if reading.rendered]
        return tuple(dict.fromkeys(image for images in named for image in images))

    def deviations(self) -> tuple[str, ...]:
        said = [reading.rendered.deviations for reading in self._readings() if reading.rendered]
        return tuple(dict.fromkeys(text for texts in said for text in texts))

    def _readings(self) -> list[Reading]:
        return [reading for reading in (self.head, self.base, self.upgraded) if reading]

    @property
    def _rendered(self) -> tuple[Rendered, Rendered] | None:
        """The base, and the head as it is upgraded to."""
        if self.base is None or self.upgraded is None or not (self.base.rendered and self.upgraded.rendered):
            return None
        return self.base.rendered, self.upgraded.rendered


def _of_reading(of: Literal["head", "base", "upgrade"], reading: Reading, config: RecipeConfig) -> Iterator[Obstacle]:
    for word, reasons in reading.refused.items():
        hint = f"if the operator trusts this: {allow_line([word])} in recipe.toml"
        yield Obstacle(of=of, verdict=Verdict.REFUSED, says=f"refused: {'; '.join(reasons)}", hint=hint, allow=word)
    if reading.wrong:
        verdict = Verdict.USAGE if reading.is_usage else Verdict.FAIL
        yield Obstacle(of=of, verdict=verdict, says=reading.wrong, hint=reading.hint)
    for name in missing_secrets(reading.rendered, config) if reading.rendered else ():
        says = f"secret {name}: the recipe says generate=false, and nobody gives it"
        yield Obstacle(of=of, verdict=Verdict.USAGE, says=says, hint=f"{name} under [secrets] in recipe.toml")
