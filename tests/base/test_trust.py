"""The bundle that containers get: read again by the TLS library; Java's is read by a real one in the integration."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from warmci.base import authority, trust
from warmci.base.errors import UsageError
from warmci.base.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "state").mkdir(mode=0o700)
    return Settings(state_dir=tmp_path / "state", base_domain="ci.example.org")


def test_the_bundle_has_our_ca_and_everybodys(settings: Settings, tmp_path: Path) -> None:
    ca = authority.served(settings).ca
    home = trust.provide(tmp_path / "trust", ca)
    read = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    read.load_verify_locations(home / trust.PEM)
    held = set(read.get_ca_certs(binary_form=True))
    assert ssl.PEM_cert_to_DER_cert(ca) in held
    assert set(trust.public_context().get_ca_certs(binary_form=True)) < held
    assert not authority.refused(settings.base_domain, settings.tls_dir / "served.pem", None, client=read)


def test_the_same_content_is_the_same_file(settings: Settings, tmp_path: Path) -> None:
    """Its name in swarm is made of it: another one would be a change to each service."""
    ca = authority.served(settings).ca
    one, two = (trust.provide(tmp_path / name, ca) for name in ("one", "two"))
    for name in (trust.PEM, trust.JKS):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_an_operators_ca_is_in_it(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who serves by a certificate of his own CA has SSL_CERT_FILE name it."""
    (tmp_path / "theirs.pem").write_text(authority.served(settings).ca, encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "theirs.pem"))
    held = (trust.provide(tmp_path / "trust", "") / trust.PEM).read_text()
    assert (tmp_path / "theirs.pem").read_text() in held
    assert held.count("BEGIN") == 1 + len(trust.public_context().get_ca_certs())


def test_a_bundle_that_no_config_can_hold(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_CONFIG_MAX", 1000)
    with pytest.raises(UsageError, match="a swarm config holds 1000"):
        trust.provide(tmp_path / "trust", authority.served(settings).ca)


def test_what_is_public(settings: Settings) -> None:
    authority.served(settings)
    assert not trust.is_public(settings), "our own CA is known to nobody"
    home = settings.tls_dir
    private = {"tls_certificate": home / "served.pem", "tls_key": home / "served.pem"}
    assert not trust.is_public(settings.model_copy(update=private)), "nor is one of an operator's"
