"""What is on disk of the live-warm Traefik: one record. It keeps no data, so its recipe is all that it is made of.

STATE/.ingress/ingress.json     which release runs, with which certificate, and the password of its API
STATE/.ingress/recipe/          the clone that it was deployed from; work/ what was made of it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import SecretStr

from warmci.live import secret_json
from warmci.live.secret_json import SecretRecord

if TYPE_CHECKING:
    from warmci.base.settings import Settings

_HINT = "warmci ingress down, then warmci ingress reconcile make it anew"


class IngressRecord(SecretRecord):
    schema_version: Literal[1] = 1
    domain: str
    """Traefik's own: its API answers there."""
    version: str
    commit: str
    fingerprint: str
    """Of the certificate that it was deployed with."""
    password: SecretStr
    """Of the API's user `warmci`."""
    failed: dict[str, str] = {}
    """Version to the reason why it was rolled back."""

    @property
    def url(self) -> str:
        return f"https://{self.domain}"


def load_ingress(settings: Settings) -> IngressRecord | None:
    """None when there is none. Raises InfraError for a record that cannot be read."""
    return secret_json.load(settings.ingress_dir / "ingress.json", IngressRecord, hint=_HINT)


def save_ingress(settings: Settings, record: IngressRecord) -> None:
    secret_json.save(settings.ingress_dir / "ingress.json", record)
