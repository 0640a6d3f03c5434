"""What is on disk of the live Keycloak. One record names everything else and is replaced by one rename.

LIVE/keycloak.json              all that runs read: where it is, and the service account
LIVE/generations/ID/            its data (volumes/), the recipe it was deployed from, and deployment.json, which only
                                the reconciler reads: the recipe's secrets, the administrator's password among them
A generation that keycloak.json does not name is garbage.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, TypeVar

import httpx
from pydantic import ConfigDict, SecretStr, ValidationError, field_serializer

from warmci.base import fs, names
from warmci.base.errors import InfraError
from warmci.base.models import Record
from warmci.base.state import disk
from warmci.sso.admin_rest import ADMIN_SECRET, KeycloakAccess

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.settings import Settings

_HINT = "warmci keycloak down, then warmci keycloak reconcile make it anew"


class _Kept(Record):
    model_config = ConfigDict(hide_input_in_errors=True)

    @field_serializer("*", when_used="json")
    def _plain(self, value: object) -> object:
        """These files are where the secrets are kept: 0600, in a directory of 0700."""
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        if isinstance(value, dict):
            return {name: self._plain(item) for name, item in value.items()}
        return value


_T = TypeVar("_T", bound=_Kept)


class LiveRecord(_Kept):
    """keycloak.json."""

    schema_version: Literal[1] = 1
    url: str
    version: str
    commit: str = ""
    """Of the recipe; empty for a Keycloak that others run."""
    generation: str = ""
    client_id: str
    client_secret: SecretStr
    failed: dict[str, str] = {}
    """Versions that an upgrade was rolled back from, and why: not tried again by themselves."""

    @property
    def external(self) -> bool:
        """Whether others run it: its health is looked at, it is never deployed or undeployed from here."""
        return not self.generation

    @property
    def domain(self) -> str:
        return httpx.URL(self.url).host

    @property
    def access(self) -> KeycloakAccess:
        return KeycloakAccess(url=self.url, client_id=self.client_id, client_secret=self.client_secret)


class DeploymentRecord(_Kept):
    """deployment.json of a generation."""

    schema_version: Literal[1] = 1
    env_commit: str
    """Commit whose .env.sample made the .env; upgrades keep it."""
    secrets: dict[str, SecretStr]

    def with_admin(self, password: SecretStr) -> DeploymentRecord:
        """The same, with the administrator's password as it is now."""
        changed = {name: password if name.startswith(ADMIN_SECRET) else value for name, value in self.secrets.items()}
        return self.model_copy(update={"secrets": changed})

    def plain_secrets(self) -> dict[str, str]:
        return {name: value.get_secret_value() for name, value in self.secrets.items()}


def of(access: KeycloakAccess, **facts: str) -> LiveRecord:
    """A record of a Keycloak and the service account for it."""
    account = {"client_id": access.client_id, "client_secret": access.client_secret}
    return LiveRecord.model_validate({**facts, **account})


def load_live(settings: Settings) -> LiveRecord | None:
    """None when there never was one. Raises InfraError for a record that cannot be read."""
    return _load(settings.live_dir / "keycloak.json", LiveRecord)


def save_live(settings: Settings, record: LiveRecord) -> None:
    _save(settings.live_dir / "keycloak.json", record)


def load_deployment(generation_dir: Path) -> DeploymentRecord:
    found = _load(generation_dir / "deployment.json", DeploymentRecord)
    if found is None:
        raise InfraError(f"{generation_dir / 'deployment.json'} is missing", hint=_HINT)
    return found


def save_deployment(generation_dir: Path, record: DeploymentRecord) -> None:
    _save(generation_dir / "deployment.json", record)


def generation_dir(settings: Settings, generation: str) -> Path:
    return settings.live_dir / "generations" / names.record_id(generation)


def generations(settings: Settings) -> list[Path]:
    parent = settings.live_dir / "generations"
    return sorted(parent.iterdir()) if parent.is_dir() else []


def _load(path: Path, kind: type[_T]) -> _T | None:
    try:
        return kind.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "record"
        raise InfraError(f"{path}: {field}: {first['msg']}", hint=_HINT) from None
    except (OSError, ValueError) as error:
        raise InfraError(f"{path} is not readable: {type(error).__name__}", hint=_HINT) from error


def _save(path: Path, record: _Kept) -> None:
    with disk(f"record {path}"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fs.write_json(path, record.model_dump(mode="json"))
