"""The certificate that names under base_domain are served with over https: the operator's own, or one by our own CA.

STATE/.tls/ca.key, ca.pem     our CA: ten years, may sign names under base_domain only
STATE/.tls/served.pem         key and certificate for base_domain and *.base_domain, replaced in good time

Made by the openssl program; whether one will do is asked of the TLS library, by a handshake in memory.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pydantic import SecretStr

from warmci.base import fs, process
from warmci.base.errors import InfraError, UsageError
from warmci.base.state import disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.base.settings import Settings

CA_DAYS = 3650
SERVED_DAYS = 397
"""Apple's and the browsers' limit for certificates that they are to trust (support.apple.com/102028)."""
_RENEW_S = 30 * 86400
_TIMEOUT_S = 30.0
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_CURVE = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


@dataclass(frozen=True)
class Served:
    """What a server of ours presents for every name under base_domain."""

    certificate: str
    """PEM: the certificate, then what it was signed by."""
    key: SecretStr
    ca: str
    """PEM of the CA that a client has to trust; empty where it knows the operator's already."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the first certificate, in hex: another one when it was replaced."""
        first = self.certificate[self.certificate.index(_BEGIN) :].partition(_END)[0]
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first + _END)).hexdigest()


def served(settings: Settings) -> Served:
    """The operator's certificate where the settings name one, else ours: made, or replaced when it ends within a month.

    Raises UsageError for one of the operator's that will not do, InfraError when ours cannot be made.
    """
    if settings.tls_certificate is not None and settings.tls_key is not None:
        return _operators(settings, settings.tls_certificate, settings.tls_key)
    with _locked(settings.tls_dir):
        reason = _unfit(settings)
        if reason:
            _make_served(settings)
            reason = _unfit(settings)
        if reason:  # the CA itself: of another base_domain, or near its end
            _make_ca(settings)
            _make_served(settings)
            reason = _unfit(settings)
        if reason:
            raise InfraError(
                f"no certificate for names under {settings.base_domain} can be made: {reason}",
                hint="base_domain needs two labels (ci.example.org), as a wildcard may not stand before a single one",
            )
        text = (settings.tls_dir / "served.pem").read_text(encoding="ascii")
        key, mark, certificate = text.partition(_BEGIN)
        return Served(mark + certificate, SecretStr(key), authority(settings))


def authority(settings: Settings) -> str:
    """PEM of our CA's certificate; empty where there is none, or where the operator's own certificate is served."""
    if settings.tls_certificate is not None:
        return ""
    try:
        return (settings.tls_dir / "ca.pem").read_text(encoding="ascii")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InfraError(f"{settings.tls_dir / 'ca.pem'} cannot be read: {error}") from error


def make_authority(settings: Settings) -> str:
    """The same, made if need be. Raises UsageError where the operator's own certificate is served."""
    if settings.tls_certificate is not None:
        what = f"{settings.tls_certificate} is served, so there is no CA of WarmCI's"
        raise UsageError(what, hint="without tls_certificate in the settings there is one")
    return served(settings).ca


def _operators(settings: Settings, certificate: Path, key: Path) -> Served:
    try:
        chain, secret = certificate.read_text(encoding="ascii"), key.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"tls_certificate or tls_key cannot be read: {error}", hint="both are files in PEM") from error
    reason = refused(settings.base_domain, certificate, key, ca="")
    if reason:
        raise UsageError(
            f"{certificate} does not serve names under {settings.base_domain}: {reason}",
            hint="it must be for *.base_domain, with its chain; a CA of your own is trusted by SSL_CERT_FILE",
        )
    return Served(chain, SecretStr(secret), "")


def refused(
    base_domain: str, certificate: Path, key: Path | None, *, ca: str = "", client: ssl.SSLContext | None = None
) -> str:
    """Why a client would refuse that certificate for a name under base_domain; empty when it takes it.

    A handshake in memory between the TLS library as server and as client, so that chain, names, dates and key are
    judged as they will be. client: who trusts whom; without it Python's usual CAs and `ca`.
    """
    return _shaken(base_domain, certificate, key, client or ssl.create_default_context(cadata=ca or None))[0]


def _shaken(base_domain: str, certificate: Path, key: Path | None, client: ssl.SSLContext) -> tuple[str, str]:
    """(why that client refuses it, when the certificate ends); one of them is empty."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(certificate, key)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        asking = client.wrap_bio(to_client, to_server, server_hostname=f"probe.{base_domain}")
        answering = server.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(3):
            for side in (asking, answering):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError as error:
        return error.verify_message, ""
    except (OSError, ssl.SSLError) as error:
        return str(error), ""
    return "", str((asking.getpeercert() or {})["notAfter"])


# --- ours


def _unfit(settings: Settings) -> str:
    """Why what we have cannot be served on; empty when it can."""
    home, ca = settings.tls_dir, authority(settings)
    if not ca or not (home / "served.pem").exists():
        return "there is none yet"
    client = ssl.create_default_context(cadata=ca)
    reason, ends = _shaken(settings.base_domain, home / "served.pem", None, client)
    if reason:
        return reason
    for name, end in (("served.pem", ends), ("ca.pem", str(client.get_ca_certs()[0]["notAfter"]))):
        if ssl.cert_time_to_seconds(end) < time.time() + _RENEW_S:
            return f"{name} ends within a month"
    return ""


def _make_ca(settings: Settings) -> None:
    """A new certificate, on the same key where there is one: what was signed stays valid."""
    home = settings.tls_dir
    with _scratch(home) as work:
        if not (home / "ca.key").exists():
            _openssl("genpkey", *_CURVE, "-out", str(work / "ca.key"))
            _keep(work / "ca.key", home / "ca.key")
        _write(
            work / "request",
            "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = ca\n"
            f"[name]\nCN = WarmCI {settings.base_domain}\n"
            "[ca]\nbasicConstraints = critical, CA:true, pathlen:0\nkeyUsage = critical, keyCertSign, cRLSign\n"
            f"subjectKeyIdentifier = hash\nnameConstraints = critical, permitted;DNS:{settings.base_domain}\n",
        )
        _openssl(
            *("req", "-x509", "-new", "-sha256", "-config", str(work / "request"), "-key", str(home / "ca.key")),
            *("-days", str(CA_DAYS), "-set_serial", _serial(), "-out", str(work / "ca.pem")),
        )
        _keep(work / "ca.pem", home / "ca.pem")


def _make_served(settings: Settings) -> None:
    home, domain = settings.tls_dir, settings.base_domain
    if not (home / "ca.pem").exists() or not (home / "ca.key").exists():
        _make_ca(settings)
    with _scratch(home) as work:
        _openssl("genpkey", *_CURVE, "-out", str(work / "key"))
        _write(
            work / "request",
            f"[req]\nprompt = no\ndistinguished_name = name\n[name]\nCN = {domain}\n"
            "[served]\nbasicConstraints = critical, CA:false\nkeyUsage = critical, digitalSignature\n"
            "extendedKeyUsage = serverAuth\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"
            f"subjectAltName = DNS:{domain}, DNS:*.{domain}\n",
        )
        request = str(work / "request")
        _openssl("req", "-new", "-config", request, "-key", str(work / "key"), "-out", str(work / "csr"))
        _openssl(
            *("x509", "-req", "-sha256", "-in", str(work / "csr"), "-CA", str(home / "ca.pem")),
            *("-CAkey", str(home / "ca.key"), "-set_serial", _serial(), "-days", str(SERVED_DAYS)),
            *("-extfile", request, "-extensions", "served", "-out", str(work / "certificate")),
        )
        text = "".join((work / name).read_text(encoding="ascii") for name in ("key", "certificate"))
        fs.write_atomic(home / "served.pem", text)


def _openssl(*arguments: str) -> None:
    process.run(["openssl", *arguments], timeout_s=_TIMEOUT_S)


def _serial() -> str:
    return str(secrets.randbits(127) + 1)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")


def _keep(made: Path, path: Path) -> None:
    fs.write_atomic(path, made.read_text(encoding="ascii"))


@contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """0700, as TemporaryDirectory makes them: a key is never readable by others, not even half made."""
    with TemporaryDirectory(prefix=".new-", dir=home) as name:
        yield Path(name)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One process at a time makes certificates; what a killed one left half made goes."""
    with disk(f"certificates in {home}"):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(home / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            for stale in home.glob(".new-*"):
                fs.remove_tree(stale)
            yield
        finally:
            os.close(fd)
