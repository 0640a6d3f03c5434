"""The account that runs use: it may make realms and owns those it made; others' it can neither see nor delete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import SecretStr

from warmci.base.errors import InfraError
from warmci.sso.admin_rest import Keycloak, KeycloakAccess

if TYPE_CHECKING:
    import httpx

ACCOUNT = "warmci"
_ROLE = "create-realm"
_CLIENTS = "/admin/realms/master/clients"


@dataclass(frozen=True)
class _Admin:
    keycloak: Keycloak

    def must(self, method: str, path: str, body: Any = None, *, done: tuple[int, ...] = (200, 201, 204)) -> Any:
        answer = self.keycloak.get(path) if method == "GET" else self.keycloak.ask(method, path, body)
        if answer.status not in done:
            raise InfraError(
                f"Keycloak at {self.keycloak.url} refuses {method} {path.split('?', maxsplit=1)[0]}; last: {answer}",
                hint="bootstrap needs an administrator of the master realm",
            )
        return answer.body

    def find(self, client_id: str) -> str:
        found = self.must("GET", f"{_CLIENTS}?clientId={quote(client_id, safe='')}")
        return next((str(item["id"]) for item in found if item.get("clientId") == client_id), "")


def make_service_account(
    access: KeycloakAccess, client: httpx.Client, *, new_secret: bool, name: str = ACCOUNT
) -> KeycloakAccess:
    """Make the account by the administrator's `access`, or set right the one that is there.

    One account for all hosts that use this Keycloak, so that each can reap what a host that is gone has left; without
    new_secret they all keep the one they have. It is never made anew: its realms would be orphans that only an
    administrator can delete. Light-weight tokens keep it below proxies' header limits (22.9 kB with 40 realms
    otherwise) and let rights on a new realm count at once. Raises InfraError when Keycloak refuses.
    """
    admin = _Admin(Keycloak(access, client))
    ident = admin.find(name)
    if not ident:
        admin.must("POST", _CLIENTS, _client(name), done=(201, 409))
        ident = admin.find(name)
    else:
        admin.must("PUT", f"{_CLIENTS}/{ident}", {"id": ident, **_client(name)})
    user = admin.must("GET", f"{_CLIENTS}/{ident}/service-account-user")["id"]
    held = admin.must("GET", f"/admin/realms/master/users/{user}/role-mappings/realm")
    unwanted = [role for role in held if role["name"] != _ROLE]
    if unwanted:
        # The default roles of master: what an account has for nothing, it does not need.
        admin.must("DELETE", f"/admin/realms/master/users/{user}/role-mappings/realm", unwanted)
    role = admin.must("GET", f"/admin/realms/master/roles/{_ROLE}")
    admin.must("POST", f"/admin/realms/master/users/{user}/role-mappings/realm", [role])
    secret = str(admin.must("POST" if new_secret else "GET", f"{_CLIENTS}/{ident}/client-secret")["value"])
    return KeycloakAccess(url=access.url, client_id=name, client_secret=SecretStr(secret))


def _client(name: str) -> dict[str, Any]:
    return {
        "clientId": name,
        "name": "WarmCI",
        "description": "makes and deletes the realms of WarmCI's runs",
        "protocol": "openid-connect",
        "enabled": True,
        "publicClient": False,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "fullScopeAllowed": True,
        "attributes": {"client.use.lightweight.access.token.enabled": "true"},
    }
