"""Records of live-warm infrastructure: JSON that holds secrets, 0600, replaced by one rename."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from pydantic import ConfigDict, SecretStr, ValidationError, field_serializer

from warmci.base import fs
from warmci.base.errors import InfraError
from warmci.base.models import Record
from warmci.base.state import disk

if TYPE_CHECKING:
    from pathlib import Path


class SecretRecord(Record):
    """A record with secrets in it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    @field_serializer("*", when_used="json")
    def _plain(self, value: object) -> object:
        """These files are where the secrets are kept: 0600, in a directory of 0700."""
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        if isinstance(value, dict):
            return {name: self._plain(item) for name, item in value.items()}
        return value


_T = TypeVar("_T", bound=SecretRecord)


def load(path: Path, kind: type[_T], *, hint: str) -> _T | None:
    """None where there is none. Raises InfraError, with the hint, for one that cannot be read."""
    try:
        return kind.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "record"
        raise InfraError(f"{path}: {field}: {first['msg']}", hint=hint) from None
    except (OSError, ValueError) as error:
        raise InfraError(f"{path} is not readable: {type(error).__name__}", hint=hint) from error


def save(path: Path, record: SecretRecord) -> None:
    with disk(f"record {path}"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fs.write_json(path, record.model_dump(mode="json"))
