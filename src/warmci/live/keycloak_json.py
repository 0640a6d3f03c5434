"""What is on disk of the live Keycloak. One record names everything else and is replaced by one rename.

LIVE/keycloak.json              all that runs read: where it is, and the service account
LIVE/generations/ID/            its data (volumes/), the recipe it was deployed from, and deployment.json, which only
                                the reconciler reads: the recipe's secrets, the administrator's password among them
A generation that keycloak.json does not name is garbage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import httpx
from pydantic import SecretStr

from warmci.base import names
from warmci.base.errors import InfraError
from warmci.live import secret_json
from warmci.live.secret_json import SecretRecord
from warmci.sso.admin_rest import ADMIN_SECRET, KeycloakAccess

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.settings import Settings

_HINT = "warmci keycloak down, then warmci keycloak reconcile make it anew"


class LiveRecord(SecretRecord):
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


class DeploymentRecord(SecretRecord):
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
    return secret_json.load(settings.live_dir / "keycloak.json", LiveRecord, hint=_HINT)


def save_live(settings: Settings, record: LiveRecord) -> None:
    secret_json.save(settings.live_dir / "keycloak.json", record)


def load_deployment(generation_dir: Path) -> DeploymentRecord:
    found = secret_json.load(generation_dir / "deployment.json", DeploymentRecord, hint=_HINT)
    if found is None:
        raise InfraError(f"{generation_dir / 'deployment.json'} is missing", hint=_HINT)
    return found


def save_deployment(generation_dir: Path, record: DeploymentRecord) -> None:
    secret_json.save(generation_dir / "deployment.json", record)


def generation_dir(settings: Settings, generation: str) -> Path:
    return settings.live_dir / "generations" / names.record_id(generation)


def generations(settings: Settings) -> list[Path]:
    parent = settings.live_dir / "generations"
    return sorted(parent.iterdir()) if parent.is_dir() else []
