"""The setting recipe_source: one place that recipes are cloned from, or several in the order of asking."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

CO_OP_CLOUD = "https://git.coopcloud.tech/coop-cloud/{recipe}.git"


def _one_or_more(value: object) -> object:
    """A list, a list as JSON in the environment, or the one that it mostly is."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return (value,)
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("several sources are a list, in JSON where it is not TOML") from None


def _with_the_name(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("no source is named")
    for source in value:
        if "{recipe}" not in source or set("{}") & set(source.replace("{recipe}", "")):
            raise ValueError(f"{source!r} must have {{recipe}} in it, and no other braces")
    return value


RecipeSources = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_one_or_more), AfterValidator(_with_the_name)]
