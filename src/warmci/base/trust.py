"""Whom our clients trust, and the same as files for the containers of an app."""

from __future__ import annotations

import hashlib
import os
import ssl
import struct
from functools import lru_cache
from typing import TYPE_CHECKING

import httpx

from warmci.base import authority
from warmci.base.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.settings import Settings

_OPERATORS = ("SSL_CERT_FILE", "SSL_CERT_DIR")
PEM, JKS = "ca.pem", "ca.jks"
VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL and what is built on it, Go, .NET
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)
"""By which programs are told of a bundle."""
_CONFIG_MAX = 500 * 1024
"""Bytes of a swarm config (moby/swarmkit, manager/controlapi: MaxConfigSize)."""
_JKS_MAGIC, _JKS_VERSION, _JKS_CERTIFICATE = 0xFEEDFEED, 2, 2
_JKS_WHITENER = b"Mighty Aphrodite"
_JKS_PASSWORD = "changeit"  # noqa: S105  (Java's own for what is no secret; a trust store is read without any)


def client_context(ca: str) -> ssl.SSLContext:
    """The usual CAs (Mozilla's, or those of SSL_CERT_FILE), and ours; one for all who ask for the same."""
    return _trusting(ca, *(os.environ.get(name, "") for name in _OPERATORS))


@lru_cache(maxsize=4)
def _trusting(ca: str, *_operators: str) -> ssl.SSLContext:
    """Kept: reading a system's certificates takes longer than most requests."""
    context = httpx.create_ssl_context(trust_env=True)
    if ca:
        context.load_verify_locations(cadata=ca)
    return context


def public_context() -> ssl.SSLContext:
    """What any image trusts: Mozilla's CAs alone."""
    return httpx.create_ssl_context(trust_env=False)


def is_public(settings: Settings) -> bool:
    """Whether any image trusts what WarmCI serves names under base_domain with."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return False
    certificate, key = settings.tls_certificate, settings.tls_key
    return not authority.refused(settings.base_domain, certificate, key, client=public_context())


def provide(home: Path, ca: str) -> Path:
    """Write whom images trust, the operator's CAs (SSL_CERT_FILE) and ours into that directory; returns it.

    As PEM and as Java's trust store. All in one, because the variables that name such a file replace the image's own.
    Raises UsageError where it is more than a swarm config may hold.
    """
    trusted = [context.get_ca_certs(binary_form=True) for context in (public_context(), client_context(ca))]
    certificates = sorted({certificate for found in trusted for certificate in found})
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    texts = {PEM: "".join(map(ssl.DER_cert_to_PEM_cert, certificates)).encode(), JKS: _java(certificates)}
    for name, text in texts.items():
        if len(text) > _CONFIG_MAX:
            raise UsageError(
                f"the CAs of SSL_CERT_FILE and ours are {len(text)} bytes; a swarm config holds {_CONFIG_MAX}",
                hint="name fewer CAs there, or set trust = [] in recipe.toml",
            )
        (home / name).write_bytes(text)
    return home


def _java(certificates: list[bytes]) -> bytes:
    """A JKS as keytool writes it (OpenJDK, sun.security.provider.JavaKeyStore): no program of a host can make one."""
    body = struct.pack(">III", _JKS_MAGIC, _JKS_VERSION, len(certificates))
    for number, certificate in enumerate(certificates):
        words = _utf(f"ca{number}") + struct.pack(">Q", 0) + _utf("X.509")
        body += struct.pack(">I", _JKS_CERTIFICATE) + words + struct.pack(">I", len(certificate)) + certificate
    # SHA-1 is the format's, and seals nothing that is secret.
    seal = hashlib.sha1(_JKS_PASSWORD.encode("utf-16-be") + _JKS_WHITENER + body, usedforsecurity=False)
    return body + seal.digest()


def _utf(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode("ascii")
