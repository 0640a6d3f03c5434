"""The Traefik that a host has already, as a Co-op Cloud host does: found by the port and the network of its apps."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import httpx

from warmci.base import authority, http, trust
from warmci.base.errors import InfraError
from warmci.base.labels import INGRESS_RUN, INSTANCE_LABEL, RUN_LABEL
from warmci.recipe.ingress import PROXY_NETWORK
from warmci.swarm.published import Publisher, publishers

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.swarm.engine import Engine

HTTPS = 443
_TIMEOUT_S = 10.0
_PROVIDERS = ("--providers.swarm", "--providers.docker", "--docker.swarmmode")


def find_others(engine: Engine, instance: str) -> list[Publisher]:
    """Whoever publishes the https port of this host, but for this WarmCI's own live Traefik."""
    return [
        found
        for found in publishers(engine, HTTPS)
        if (found.labels.get(INSTANCE_LABEL), found.labels.get(RUN_LABEL)) != (instance, INGRESS_RUN)
    ]


def distrusted(settings: Settings) -> str:
    """Why a client would not trust what answers for a name under base_domain; empty when it does.

    Raises InfraError when nothing answers there at all.
    """
    url = f"https://probe.{settings.base_domain}/"
    try:
        with http.client(
            base_domain=settings.base_domain,
            address=settings.ingress_address,
            timeout_s=_TIMEOUT_S,
            ca=authority.authority(settings),
        ) as client:
            client.get(url)
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return str(error).partition("CERTIFICATE_VERIFY_FAILED] ")[2] or str(error)
        raise InfraError(f"{url} does not answer: {error}", hint="warmci doctor") from error
    except httpx.HTTPError as error:
        raise InfraError(f"{url} does not answer: {error}", hint="warmci doctor") from error
    return ""


def is_public(settings: Settings) -> bool:
    """Whether any image trusts what answers for a name under base_domain."""
    try:
        with (
            socket.create_connection((settings.ingress_address, HTTPS), _TIMEOUT_S) as plain,
            trust.public_context().wrap_socket(plain, server_hostname=f"probe.{settings.base_domain}"),
        ):
            return True
    except ssl.SSLError:
        return False
    except OSError as error:
        where = f"{settings.ingress_address}:{HTTPS}"
        raise InfraError(f"{where} does not answer: {error}", hint="warmci doctor") from error


def why_not(found: Publisher) -> str:
    """Why that one is no ingress for recipes; empty when it is."""
    image = found.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if image != "traefik" and not any(word.lower().startswith(_PROVIDERS) for word in found.words):
        return f"{found.name} ({found.image}) publishes port {HTTPS}, and is no Traefik"
    if PROXY_NETWORK not in found.networks:
        return f"the Traefik {found.name} is not on the network {PROXY_NETWORK}"
    return ""
