"""Where a recipe is cloned from: each entry of recipe_source in turn, or the one place that a command named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmci.base import names, process
from warmci.base.errors import InfraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.settings import Settings

# The serving half of a local clone does not inherit our -c options.
_LOCAL_UPLOAD = "git -c safe.directory='*' upload-pack"
_LOCAL_OPTIONS = ("--upload-pack", _LOCAL_UPLOAD)
_ELSEWHERE = "correct the name; name its directory (./NAME) or URL instead; or set recipe_source in the settings"
_ASKS_WHO = ("could not read Username", "could not read Password")
"""Forges ask so for what they do not have, too."""
# A token may stand in place of the name; ssh's name is none, and the host is not found without it.
_LOGIN = re.compile(r"(?<=://)[^/\s@]*:[^/\s]*@|(?<=http://)[^/\s]*@|(?<=https://)[^/\s]*@", re.IGNORECASE)
_NOTHING_THERE = ("does not exist", "not found", "could not be found", "does not appear to be a git repository")


@dataclass(frozen=True)
class Source:
    url: str

    @property
    def is_local(self) -> bool:
        return self.url.startswith("/")

    @property
    def public(self) -> str:
        """Without what a settings file may have put before the host to log in."""
        return without_login(self.url)

    @property
    def asking(self) -> tuple[str, ...]:
        """Options of ls-remote."""
        return _LOCAL_OPTIONS if self.is_local else ()

    @property
    def cloning(self) -> tuple[str, ...]:
        if not self.is_local:
            return ()
        return (*_LOCAL_OPTIONS, "--config", f"remote.origin.uploadpack={_LOCAL_UPLOAD}")


def without_login(text: str) -> str:
    """A URL, or what git says of one, without what logs in there."""
    return _LOGIN.sub("", text)


def sources(settings: Settings, recipe: str, named: str = "") -> list[Source]:
    """In the order in which they are asked; `named` alone where a command named a directory or URL."""
    names.recipe_name(recipe)
    return [Source(named)] if named else [Source(text.format(recipe=recipe)) for text in settings.recipe_source]


def to_name(settings: Settings, recipe: str, source: str) -> str:
    """What a command must name for the recipe to come from `source`: nothing where the settings lead there anyway."""
    return "" if source in {"", *(one.public for one in sources(settings, recipe))} else source


def first(recipe: str, asked: list[Source], question: Callable[[Source], str], doing: str) -> tuple[Source, str]:
    """The first source that has the recipe, and its answer.

    One that does not answer ends the search: another's recipe of that name must not stand in for it. Raises InfraError
    for that, UsageError where no source has it; `doing` is what could not be done.
    """
    login = ""
    for source in asked:
        try:
            return source, question(source)
        except process.CommandError as error:
            if any(words in error.tail for words in _ASKS_WHO):
                login = login or source.public
            elif not any(words in error.tail for words in _NOTHING_THERE):
                message = f"{doing} from {source.public}: {without_login(error.message)}"
                raise InfraError(message, hint=f"git ls-remote {source.public}") from error
    if login:
        message = f"unknown recipe {recipe}, or a private one: {login} asks for a login"
        raise UsageError(message, hint="correct the name, or let git's credential helper log in")
    places = ", ".join(source.public for source in asked)
    raise UsageError(f"unknown recipe {recipe}: nothing at {places}", hint=_ELSEWHERE)
