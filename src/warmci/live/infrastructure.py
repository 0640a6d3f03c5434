"""What is live-warm on a host, each by its recipe: Keycloak with its data, Traefik without any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.settings import Settings


@dataclass(frozen=True)
class Infrastructure:
    recipe: str
    title: str
    """Its name in sentences."""
    subject: str
    """What its alert and its locks are called."""
    reconcile: str
    """The command that makes it serve."""
    pinned: Callable[[Settings], str]
    """The release that the settings name; empty: the newest."""


KEYCLOAK = Infrastructure(
    "keycloak", "Keycloak", "keycloak", "warmci keycloak reconcile", lambda settings: settings.keycloak_ref
)
TRAEFIK = Infrastructure(
    "traefik", "Traefik", "ingress", "warmci ingress reconcile", lambda settings: settings.traefik_ref
)
