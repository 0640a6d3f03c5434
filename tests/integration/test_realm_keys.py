"""A realm with keys of our making, at a real Keycloak: an app cannot tell it from one with Keycloak's own."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from warmci.base import process
from warmci.base.side_by_side import beside
from warmci.sso import admin_rest, realm_keys, realm_lifecycle, realm_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from warmci.sso.admin_rest import KeycloakAccess
    from warmci.sso.realm_keys import RealmKeys

pytestmark = pytest.mark.integration
OWNER = f"keys{secrets.token_hex(4)}"


def spec() -> realm_spec.RealmSpec:
    alice = realm_spec.RealmUser(
        username="alice", password=SecretStr("random"), email="a@example.org", first_name="Alice", last_name="Example"
    )
    return realm_spec.RealmSpec(
        name=realm_lifecycle.new_realm_name("keys", "1", secrets.token_hex(4)),
        run="r1",
        owner=OWNER,
        host="test-host",
        client_id="app",
        client_secret=SecretStr("client-secret"),
        redirect_uris=("http://127.0.0.1:9/*",),
        users=(alice,),
    )


@pytest.fixture
def keycloak(live_keycloak: KeycloakAccess, http_client: httpx.Client) -> Iterator[admin_rest.Keycloak]:
    keycloak = admin_rest.Keycloak(live_keycloak, http_client)
    yield keycloak
    for realm in realm_lifecycle.list_realms(keycloak):
        if realm.owner == OWNER:
            realm_lifecycle.delete_keycloak_realm(keycloak, realm.name)


def made(keycloak: admin_rest.Keycloak, keys: RealmKeys | None) -> str:
    asked = spec()
    realm_lifecycle.create_keycloak_realm(keycloak, asked, keys=keys, announce=lambda _: None)
    return asked.name


def new_keys() -> RealmKeys:
    with beside(realm_keys.THREADS) as side:
        return realm_keys.begin(side).finish()


def as_apps_see_it(keycloak: admin_rest.Keycloak, client: httpx.Client, name: str) -> tuple[Any, ...]:
    """(what it discovers, its public keys but for their numbers, the header of a token)."""
    issuer = f"{keycloak.url}/realms/{name}"
    found = client.get(f"{issuer}/.well-known/openid-configuration").text.replace(name, "NAME")
    endpoint = f"{issuer}/protocol/openid-connect"
    keys = client.get(f"{endpoint}/certs").json()["keys"]
    shapes = sorted((key["use"], key["alg"], key["kty"], key["e"], len(key["n"]), sorted(key)) for key in keys)
    form = {"grant_type": "password", "client_id": "app", "client_secret": "client-secret"}
    login = {"username": "alice", "password": "random", "scope": "openid"}
    tokens = client.post(f"{endpoint}/token", data={**form, **login}).json()
    headers = [json.loads(decoded(tokens[kind].split(".")[0])) for kind in ("id_token", "refresh_token")]
    used = [header.pop("kid") for header in headers]
    assert used[0] in {key["kid"] for key in keys}
    # Keycloak tells its algorithms in no order.
    documents = {name: sorted(said) if isinstance(said, list) else said for name, said in json.loads(found).items()}
    return documents, shapes, headers


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


def test_it_is_as_one_with_keycloaks_own_keys(keycloak: admin_rest.Keycloak, http_client: httpx.Client) -> None:
    ours, its = made(keycloak, new_keys()), made(keycloak, None)
    assert as_apps_see_it(keycloak, http_client, ours) == as_apps_see_it(keycloak, http_client, its)
    kinds = []
    for name in (ours, its):
        found = keycloak.get(f"/admin/realms/{name}/keys").body["keys"]
        kinds.append(sorted((key["algorithm"], key["use"], key["status"], key["providerPriority"]) for key in found))
    assert kinds[0] == kinds[1]


def test_the_keys_are_the_given_ones(keycloak: admin_rest.Keycloak, http_client: httpx.Client) -> None:
    keys = new_keys()
    assert keys.signing != keys.encrypting
    name = made(keycloak, keys)
    shown = http_client.get(f"{keycloak.url}/realms/{name}/protocol/openid-connect/certs").json()["keys"]
    for use, key in (("sig", keys.signing), ("enc", keys.encrypting)):
        of_openssl = process.run(
            ["openssl", "rsa", "-noout", "-modulus"], stdin=key.get_secret_value(), timeout_s=10
        ).stdout
        modulus = next(decoded(each["n"]) for each in shown if each["use"] == use)
        assert of_openssl.strip() == f"Modulus={modulus.hex().upper()}"
