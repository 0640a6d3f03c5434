"""The requests that make the service account, and what happens when Keycloak refuses one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest
import respx
from pydantic import SecretStr

from warmci.base import http
from warmci.base.errors import InfraError
from warmci.sso import admin_rest
from warmci.sso.service_account import make_service_account

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "http://warm-keycloak.warmci.localhost:20000"
NAME = "warmci"
CLIENTS = "/admin/realms/master/clients"
ROLES = "/admin/realms/master/users/u1/role-mappings/realm"
ADMIN = admin_rest.KeycloakAccess(url=URL, username="admin", password=SecretStr("admin-canary"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.MockRouter]:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        answer = {"access_token": "t", "expires_in": 60}
        router.post("/realms/master/protocol/openid-connect/token").respond(200, json=answer)
        router.get(f"{CLIENTS}/c1/service-account-user").respond(json={"id": "u1"})
        router.get(ROLES, name="held").respond(json=[{"id": "r0", "name": "default-roles-master"}])
        router.delete(ROLES, name="drop").respond(204)
        router.get("/admin/realms/master/roles/create-realm").respond(json={"id": "r1", "name": "create-realm"})
        router.post(ROLES, name="grant").respond(204)
        router.post(f"{CLIENTS}/c1/client-secret", name="secret").respond(json={"value": "new-canary"})
        yield router


def made(*, new_secret: bool = True) -> admin_rest.KeycloakAccess:
    with http.client(base_domain="warmci.localhost", address="127.0.0.1") as client:
        return make_service_account(ADMIN, client, new_secret=new_secret)


def body(route: respx.Route) -> object:
    return json.loads(route.calls[-1].request.content)


def test_a_new_account_may_make_realms_and_nothing_else(server: respx.MockRouter) -> None:
    there = [{"id": "c1", "clientId": NAME}]
    server.get(CLIENTS, params={"clientId": NAME}).mock(
        side_effect=[httpx.Response(200, json=[]), httpx.Response(200, json=there)]
    )
    create = server.post(CLIENTS).respond(201)
    access = made()
    assert (access.url, access.client_id, access.client_secret) == (URL, NAME, SecretStr("new-canary"))
    client = json.loads(create.calls[0].request.content)
    assert (client["serviceAccountsEnabled"], client["publicClient"]) == (True, False)
    assert (client["standardFlowEnabled"], client["directAccessGrantsEnabled"]) == (False, False)
    assert client["attributes"] == {"client.use.lightweight.access.token.enabled": "true"}
    assert body(server["drop"]) == [{"id": "r0", "name": "default-roles-master"}]
    assert body(server["grant"]) == [{"id": "r1", "name": "create-realm"}]


def test_an_account_that_is_there_is_kept_and_set_right(server: respx.MockRouter) -> None:
    server.get(CLIENTS).respond(json=[{"id": "c1", "clientId": NAME}])
    server["held"].respond(json=[{"id": "r1", "name": "create-realm"}])
    update = server.put(f"{CLIENTS}/c1").respond(204)
    creation = server.post(CLIENTS).respond(201)
    assert made().client_secret == SecretStr("new-canary")
    assert (update.call_count, creation.call_count, server["drop"].call_count) == (1, 0, 0)
    assert server["secret"].call_count == 1


def test_a_secret_that_others_use_is_kept(server: respx.MockRouter) -> None:
    server.get(CLIENTS).respond(json=[{"id": "c1", "clientId": NAME}])
    server.put(f"{CLIENTS}/c1").respond(204)
    server.get(f"{CLIENTS}/c1/client-secret").respond(json={"value": "known-canary"})
    assert made(new_secret=False).client_secret == SecretStr("known-canary")
    assert server["secret"].call_count == 0


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", CLIENTS, httpx.Response(403, json={"error": "HTTP 403 Forbidden"})),
        ("PUT", f"{CLIENTS}/c1", httpx.Response(403, json={"error": "HTTP 403 Forbidden"})),
        ("GET", "/admin/realms/master/roles/create-realm", httpx.Response(404, json={"error": "Could not find role"})),
        ("POST", ROLES, httpx.Response(500, json={"error": "unknown_error"})),
        ("POST", f"{CLIENTS}/c1/client-secret", httpx.ReadTimeout("slow")),
    ],
)
def test_refusals_say_which_request(
    server: respx.MockRouter, method: str, path: str, answer: httpx.Response | Exception
) -> None:
    server.get(CLIENTS).respond(json=[{"id": "c1", "clientId": NAME}])
    server.put(f"{CLIENTS}/c1").respond(204)
    server.request(method, path).mock(side_effect=answer if isinstance(answer, Exception) else [answer] * 9)
    with pytest.raises(InfraError, match=f"refuses {method} {path}; last: ") as caught:
        made()
    assert "canary" not in f"{caught.value!r}{caught.value.hint}"
