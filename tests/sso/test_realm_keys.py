"""The keys of a realm: made by openssl, sent once, told nowhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from warmci.base.errors import InfraError
from warmci.base.side_by_side import beside
from warmci.sso import realm_keys

if TYPE_CHECKING:
    from pathlib import Path


def test_a_realm_has_the_key_providers_that_keycloak_would_make() -> None:
    with beside(realm_keys.THREADS) as side:
        keys = realm_keys.begin(side).finish()
    providers = keys.components()["org.keycloak.keys.KeyProvider"]
    assert [(each["providerId"], each["config"].get("algorithm")) for each in providers] == [
        ("rsa", None),
        ("rsa-enc", ["RSA-OAEP"]),
        ("hmac-generated", ["HS512"]),
        ("aes-generated", None),
    ]
    given = [each["config"]["privateKey"][0] for each in providers[:2]]
    assert given == [keys.signing.get_secret_value(), keys.encrypting.get_secret_value()]
    assert given[0] != given[1]
    assert all(text.startswith("-----BEGIN PRIVATE KEY-----\n") for text in given)
    assert "PRIVATE" not in repr(keys)


def failing(monkeypatch: pytest.MonkeyPatch, home: Path, script: str) -> None:
    """An openssl that goes wrong."""
    program = home / "openssl"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")


def refused() -> str:
    with beside(realm_keys.THREADS) as side, pytest.raises(InfraError) as caught:
        realm_keys.begin(side).finish()
    return f"{caught.value.message} {caught.value.hint} {caught.value.__cause__} {getattr(caught.value, 'tail', '')}"


def test_what_went_wrong_is_said_without_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing(monkeypatch, tmp_path, "printf -- '-----BEGIN PRIVATE KEY-----\\nMIIEcanary'; kill -9 $$")
    said = refused()
    assert "openssl made no key for the realm (-9): nothing" in said
    assert "canary" not in said
    failing(monkeypatch, tmp_path, "echo canary; echo 'no entropy' >&2")
    said = refused()
    assert "(0): no entropy" in said
    assert "canary" not in said


def test_without_openssl_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing(monkeypatch, tmp_path, "exit 127")
    assert "apt-get install openssl" in refused()
