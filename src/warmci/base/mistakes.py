"""What is wrong in a file that a person wrote: every mistake at once, in words, with the name that was meant."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_WORDS = {
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "missing": "is missing",
    "string_too_short": "must not be empty",
}
"""Kinds of pydantic's errors (docs.pydantic.dev, validation errors); others keep its words."""
_MOST_NAMES = 20
_BRANCHES = {"str", "bool", "int", "float"}
"""What pydantic puts at the end of a place where a value may be of several types."""


def told(error: ValidationError, model: type[BaseModel], *, values: bool = True) -> str:
    """All mistakes in one line: `health_pth: unknown; did you mean health_path? test_timeout_s: must be a number`.

    values: whether what was written may be shown; no secret is among it.
    """
    return "; ".join(dict.fromkeys(_one(found, model, values=values) for found in error.errors()))


def _one(found: ErrorDetails, model: type[BaseModel], *, values: bool) -> str:
    loc = found["loc"]
    if loc and loc[-1] == "[key]":
        loc = loc[:-1]
    elif len(loc) > 1 and loc[-1] in _BRANCHES:
        return f"{_place(loc[:-1])}: must be text, a number, true or false"
    said = _unknown(loc, model) if found["type"] == "extra_forbidden" else _words(found, values=values)
    return f"{_place(loc)}: {said}" if loc else said


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)


def _words(found: ErrorDetails, *, values: bool) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "literal_error":
        return f"must be {context['expected']}" + (f", not {found['input']!r}" if values else "")
    if kind == "string_pattern_mismatch":
        shown = f"{found['input']!r} " if values else ""
        return f"{shown}does not match {context['pattern']}"
    said = found["msg"].removeprefix("Value error, ")
    return _WORDS.get(kind) or re.sub(r"^Input should be", "must be", said)


def _unknown(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Names the key of the same table that is nearest, or the table that has this key."""
    *above, name = (str(part) for part in loc)
    if near := get_close_matches(name, _model_at(above, model).model_fields, n=1):
        return f"unknown; did you mean {near[0]}?"
    for table, inner in _tables("", model):
        if name in inner.model_fields:
            return f"unknown here; it belongs into [{table}]" if table else "unknown here; it belongs above all tables"
    known = list(_model_at(above, model).model_fields)
    return f"unknown; known: {', '.join(known)}" if len(known) <= _MOST_NAMES else "unknown"


def _model_at(above: list[str], model: type[BaseModel]) -> type[BaseModel]:
    for part in above:  # a name that somebody chose, of a user perhaps, is no field: the table stays
        if part in model.model_fields:
            model = next(_models(model.model_fields[part].annotation), model)
    return model


def _tables(name: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield name, model
    for field, facts in model.model_fields.items():
        for inner in _models(facts.annotation):
            named = f"{name}.{field}" if name else field
            yield from _tables(f"{named}.NAME" if "dict" in str(facts.annotation) else named, inner)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
