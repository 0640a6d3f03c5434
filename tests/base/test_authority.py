"""The CA and what it signs, judged by real TLS handshakes; the openssl program makes them."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from warmci.base import authority, http, process
from warmci.base.errors import InfraError, UsageError
from warmci.base.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

BASE = "ci.example.org"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "state").mkdir(mode=0o700)
    return Settings(state_dir=tmp_path / "state", base_domain=BASE)


def with_base(settings: Settings, base_domain: str) -> Settings:
    return settings.model_copy(update={"base_domain": base_domain})


def answer_once(settings: Settings) -> int:
    """A server on loopback that presents what is served, for one connection; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.tls_dir / "served.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listener, suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 204 No Content\r\n\r\n")

    threading.Thread(target=answer, daemon=True).start()
    return int(listener.getsockname()[1])


def test_our_client_trusts_it_for_names_under_base_domain(settings: Settings) -> None:
    made = authority.served(settings)
    url = f"https://app.{BASE}:{answer_once(settings)}/"
    with http.client(base_domain=BASE, address="127.0.0.1", ca=made.ca) as client:
        assert client.get(url).status_code == 204


def test_a_client_without_the_ca_refuses_it(settings: Settings) -> None:
    authority.served(settings)
    url = f"https://app.{BASE}:{answer_once(settings)}/"
    with http.client(base_domain=BASE, address="127.0.0.1") as client, pytest.raises(httpx.ConnectError):
        client.get(url)


def test_it_is_made_once_and_the_key_is_ours_alone(settings: Settings) -> None:
    first = authority.served(settings)
    assert authority.served(settings) == first
    assert authority.make_authority(settings) == first.ca == authority.authority(settings)
    home = settings.tls_dir
    assert {path.name for path in home.iterdir()} == {".lock", "ca.key", "ca.pem", "served.pem"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o600}
    assert "PRIVATE" not in first.certificate
    assert "PRIVATE" not in repr(first)


def test_the_ca_lasts_ten_years_and_signs_no_name_elsewhere(settings: Settings, tmp_path: Path) -> None:
    made = authority.served(settings)
    ca = tmp_path / "ca.pem"
    ca.write_text(made.ca)
    nine_years = ["openssl", "x509", "-noout", "-in", str(ca), "-checkend", str(9 * 365 * 86400)]
    process.run(nine_years, timeout_s=10)
    authority._make_served(with_base(settings, "bank.example.com"))
    reason = authority.refused("bank.example.com", settings.tls_dir / "served.pem", None, ca=made.ca)
    assert "permitted subtree" in reason


def test_another_base_domain_gets_another_certificate_on_the_same_ca_key(settings: Settings) -> None:
    first = authority.served(settings)
    key = (settings.tls_dir / "ca.key").read_bytes()
    other = authority.served(with_base(settings, "other.example.org"))
    assert other.fingerprint != first.fingerprint
    assert (settings.tls_dir / "ca.key").read_bytes() == key
    assert authority.refused("other.example.org", settings.tls_dir / "served.pem", None, ca=other.ca) == ""


def test_one_that_ends_soon_is_replaced(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "SERVED_DAYS", 20)
    with pytest.raises(InfraError, match="ends within a month"):
        authority.served(settings)
    monkeypatch.undo()
    assert authority.served(settings).certificate


def test_what_a_killed_process_left_is_made_good(settings: Settings) -> None:
    first = authority.served(settings)
    (settings.tls_dir / ".new-killed").mkdir()
    (settings.tls_dir / "served.pem").write_text("half a")
    second = authority.served(settings)
    assert second.ca == first.ca
    assert second.fingerprint != first.fingerprint
    (settings.tls_dir / "ca.pem").unlink()
    assert authority.served(settings).certificate
    assert not (settings.tls_dir / ".new-killed").exists()


def test_a_base_domain_of_one_label_is_told(settings: Settings) -> None:
    with pytest.raises(InfraError, match="names under org") as caught:
        authority.served(with_base(settings, "org"))
    assert "two labels" in str(caught.value.hint)


def operators(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an operator with a certificate by a CA that the environment trusts (SSL_CERT_FILE)."""
    authority.served(settings)
    key, mark, certificate = (settings.tls_dir / "served.pem").read_text().partition("-----BEGIN CERTIFICATE")
    (tmp_path / "own.key").write_text(key)
    (tmp_path / "own.pem").write_text(mark + certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(settings.tls_dir / "ca.pem"))
    files = {"tls_certificate": tmp_path / "own.pem", "tls_key": tmp_path / "own.key"}
    return settings.model_copy(update=files)


def test_the_operators_own_is_served_as_it_is(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = operators(settings, tmp_path, monkeypatch)
    made = authority.served(own)
    assert made.certificate == (tmp_path / "own.pem").read_text()
    assert made.ca == authority.authority(own) == ""
    with pytest.raises(UsageError, match="no CA of WarmCI's"):
        authority.make_authority(own)


def test_an_operators_certificate_that_will_not_do_is_told_at_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = operators(settings, tmp_path, monkeypatch)
    with pytest.raises(UsageError, match="does not serve names under elsewhere"):
        authority.served(with_base(own, "elsewhere.org"))
    process.run(["openssl", "genpkey", *authority._CURVE, "-out", str(tmp_path / "own.key")], timeout_s=10)
    with pytest.raises(UsageError, match=r"(?i)key.values.mismatch"):
        authority.served(own)
    (tmp_path / "own.key").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        authority.served(own)


def test_half_a_pair_is_no_setting(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="belong together"):
        Settings(tls_certificate=tmp_path / "own.pem")
