"""What a run's realm consists of, and the one request body that makes it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from warmci.base.errors import UsageError
from warmci.base.models import Record
from warmci.base.names import realm_name
from warmci.sso.mappers import claim_mappers, standard_mappers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmci.sso.realm_keys import RealmKeys

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
"""What stands in a realm's attributes and, between spaces, in its display name."""

ATTRIBUTES = ("run", "owner", "host", "created", "ttl_s")
"""Of the realm itself, as `warmci.NAME`: any host can tell whose it is and until when."""
DISPLAY_NAME = re.compile("warmci " + " ".join(rf"{name}=(?P<{name}>\S+)" for name in ATTRIBUTES))
"""The same in the brief list of realms, which has no attributes."""


_HASHING = "hashAlgorithm(pbkdf2-sha256) and hashIterations(1)"
"""A password policy. Keycloak's own hash is made to take long, for each user and at each login (0.1 s each); these
passwords are random, and live for minutes."""


class RealmUser(Record):
    """A user who can log in at once: Keycloak asks for nothing more when name and e-mail are there."""

    model_config = ConfigDict(hide_input_in_errors=True)

    username: str = Field(min_length=1)
    password: SecretStr
    email: str = Field(min_length=3)
    first_name: str = Field(min_length=1)
    last_name: str = Field(min_length=1)
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Paths without the slash at their beginning: `staff/editors`."""
    attributes: dict[str, str] = {}


class ExtraClient(Record):
    """A client beside the app's own."""

    model_config = ConfigDict(hide_input_in_errors=True)

    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    redirect_uris: tuple[str, ...] = ()
    web_origins: tuple[str, ...] = ()
    public: bool = False
    service_account: bool = False


class RealmSpec(Record):
    """The realm of one run. Redirect URIs may end in `*`."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str
    run: Label
    owner: Label
    """The instance (state directory) that may reap it as soon as its run is dead."""
    host: Label
    """For people: the name of the owner's host."""
    ttl_s: int = Field(86400, ge=60)
    """Seconds until anybody may reap it."""
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    redirect_uris: tuple[str, ...]
    web_origins: tuple[str, ...] = ()
    users: tuple[RealmUser, ...] = ()
    roles: tuple[str, ...] = ()
    clients: tuple[ExtraClient, ...] = ()
    claims: dict[str, str | bool | int] = {}
    """Of every client's tokens: claim to a constant."""
    claim_sources: dict[str, str] = {}
    """Claim to where it comes from: groups, roles, attribute:NAME and so on (mappers.claim_mappers)."""
    backchannel_logout_url: str = ""
    """Whom Keycloak tells when a session of the app's client ends; empty: nobody."""
    require_pkce: bool = False
    """Refuse logins without an S256 challenge. Many apps send none; one that is sent is always checked."""

    @field_validator("name")
    @classmethod
    def _addressable(cls, value: str) -> str:
        try:
            return realm_name(value)
        except UsageError as error:
            raise ValueError(error.message) from error

    @model_validator(mode="after")
    def _roles_exist(self) -> Self:
        unknown = {role for user in self.users for role in user.roles} - set(self.roles)
        if unknown:
            raise ValueError(f"users have roles that the realm does not define: {', '.join(sorted(unknown))}")
        return self


def realm_body(spec: RealmSpec, keys: RealmKeys | None = None) -> dict[str, Any]:
    """keys: else Keycloak makes its own."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    facts = (spec.run, spec.owner, spec.host, created, str(spec.ttl_s))
    said = dict(zip(ATTRIBUTES, facts, strict=True))
    return {
        "realm": spec.name,
        "enabled": True,
        "displayName": " ".join(["warmci", *(f"{name}={value}" for name, value in said.items())]),
        "attributes": {f"warmci.{name}": value for name, value in said.items()},
        "roles": {"realm": [{"name": role} for role in spec.roles]},
        "groups": _groups([group for user in spec.users for group in user.groups]),
        "clients": [_app_client(spec), *(_extra_client(client, spec) for client in spec.clients)],
        "users": [_user(user, spec.name) for user in spec.users],
        "passwordPolicy": _HASHING,
        **({"components": keys.components()} if keys else {}),
    }


def backchannel_logout(url: str) -> dict[str, str]:
    """The attributes of a client that is told at url when a session ends."""
    return {"backchannel.logout.url": url, "backchannel.logout.session.required": "true"}


def _app_client(spec: RealmSpec) -> dict[str, Any]:
    attributes = {"post.logout.redirect.uris": "+"}
    if spec.require_pkce:
        attributes["pkce.code.challenge.method"] = "S256"
    if spec.backchannel_logout_url:
        attributes |= backchannel_logout(spec.backchannel_logout_url)
    return {
        "clientId": spec.client_id,
        "secret": spec.client_secret.get_secret_value(),
        "publicClient": False,
        "standardFlowEnabled": True,
        "redirectUris": list(spec.redirect_uris),
        "webOrigins": list(spec.web_origins),
        "attributes": attributes,
        **_common(spec, spec.client_id),
    }


def _extra_client(client: ExtraClient, spec: RealmSpec) -> dict[str, Any]:
    return {
        "clientId": client.client_id,
        **({} if client.public else {"secret": client.client_secret.get_secret_value()}),
        "publicClient": client.public,
        "serviceAccountsEnabled": client.service_account and not client.public,
        "standardFlowEnabled": bool(client.redirect_uris),
        "redirectUris": list(client.redirect_uris),
        "webOrigins": list(client.web_origins),
        "attributes": {"post.logout.redirect.uris": "+"},
        **_common(spec, client.client_id),
    }


def _common(spec: RealmSpec, client_id: str) -> dict[str, Any]:
    return {
        "protocol": "openid-connect",
        "directAccessGrantsEnabled": True,
        # Without `basic`, whose subject is the user's id: apps store it, and ids differ from realm to realm.
        "defaultClientScopes": ["acr", "email", "profile", "roles", "web-origins"],
        "optionalClientScopes": ["address", "microprofile-jwt", "offline_access", "phone"],
        "protocolMappers": [*standard_mappers(client_id), *claim_mappers(spec.claims, spec.claim_sources)],
    }


def _groups(paths: Iterable[str]) -> list[dict[str, Any]]:
    """A tree that has each of these paths."""
    below: dict[str, list[str]] = {}
    for path in paths:
        name, _, rest = path.partition("/")
        below.setdefault(name, []).extend([rest] if rest else [])
    return [{"name": name, "subGroups": _groups(rest)} for name, rest in sorted(below.items())]


def _user(user: RealmUser, realm: str) -> dict[str, Any]:
    password = user.password.get_secret_value()
    return {
        "username": user.username,
        "email": user.email,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "enabled": True,
        "emailVerified": True,
        "credentials": [{"type": "password", "value": password, "temporary": False}],
        # Users of an import get no default roles by themselves, and then no app gets an offline token.
        "realmRoles": [f"default-roles-{realm}", *user.roles],
        "groups": [f"/{group}" for group in user.groups],
        "attributes": {name: [value] for name, value in user.attributes.items()},
    }
