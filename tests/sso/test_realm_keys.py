"""The keys of a realm: made by openssl, sent once, told nowhere."""

from __future__ import annotations

import pytest

from warmci.base.process import CommandError
from warmci.base.redaction import Redactor
from warmci.base.side_by_side import beside
from warmci.sso import realm_keys


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


def test_keys_are_told_nowhere() -> None:
    with beside(realm_keys.THREADS) as side:
        keys = realm_keys.begin(side).finish()
    assert "PRIVATE" not in repr(keys)
    redact = Redactor()
    redact.add(*keys.texts())
    said = redact(repr(keys.components()))
    body = keys.signing.get_secret_value().splitlines()[1:-1]
    assert len(body) > 20
    assert not any(line in said for line in body)


def test_without_openssl_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realm_keys, "_RSA", ("genpkey", "-algorithm", "nonsense"))
    with beside(realm_keys.THREADS) as side, pytest.raises(CommandError, match="openssl"):
        realm_keys.begin(side).finish()
