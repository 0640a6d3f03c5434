"""What a run's realm consists of, and the one request body that makes it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from warmci.base.errors import UsageError
from warmci.base.models import Record
from warmci.base.names import realm_name

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
"""What stands in a realm's attributes and, between spaces, in its display name."""

ATTRIBUTES = ("run", "owner", "host", "created", "ttl_s")
"""Of the realm itself, as `warmci.NAME`: any host can tell whose it is and until when."""
DISPLAY_NAME = re.compile("warmci " + " ".join(rf"{name}=(?P<{name}>\S+)" for name in ATTRIBUTES))
"""The same in the brief list of realms, which has no attributes."""


class RealmUser(Record):
    """A user who can log in at once: Keycloak asks for nothing more when name and e-mail are there."""

    model_config = ConfigDict(hide_input_in_errors=True)

    username: str = Field(min_length=1)
    password: SecretStr
    email: str = Field(min_length=3)
    first_name: str = Field(min_length=1)
    last_name: str = Field(min_length=1)
    roles: tuple[str, ...] = ()


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


def realm_body(spec: RealmSpec) -> dict[str, Any]:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    facts = (spec.run, spec.owner, spec.host, created, str(spec.ttl_s))
    said = dict(zip(ATTRIBUTES, facts, strict=True))
    return {
        "realm": spec.name,
        "enabled": True,
        "displayName": " ".join(["warmci", *(f"{name}={value}" for name, value in said.items())]),
        "attributes": {f"warmci.{name}": value for name, value in said.items()},
        "roles": {"realm": [{"name": role} for role in spec.roles]},
        "clients": [_client(spec)],
        "users": [_user(user, spec.name) for user in spec.users],
    }


def _client(spec: RealmSpec) -> dict[str, Any]:
    everywhere = {
        f"{kind}.claim": "true" for kind in ("id.token", "access.token", "userinfo.token", "introspection.token")
    }
    subject = {"user.attribute": "username", "claim.name": "sub", "jsonType.label": "String", **everywhere}
    auth_time = {"user.session.note": "AUTH_TIME", "claim.name": "auth_time", "jsonType.label": "long", **everywhere}
    audience = {
        "included.client.audience": spec.client_id,
        "access.token.claim": "true",
        "introspection.token.claim": "true",
    }
    return {
        "clientId": spec.client_id,
        "secret": spec.client_secret.get_secret_value(),
        "protocol": "openid-connect",
        "publicClient": False,
        "standardFlowEnabled": True,
        "directAccessGrantsEnabled": True,
        "redirectUris": list(spec.redirect_uris),
        "webOrigins": list(spec.web_origins),
        "attributes": {
            "post.logout.redirect.uris": "+",
            **({"pkce.code.challenge.method": "S256"} if spec.require_pkce else {}),
        },
        # Without `basic`, whose subject is the user's id: apps store it, and ids differ from realm to realm.
        "defaultClientScopes": ["acr", "email", "profile", "roles", "web-origins"],
        "optionalClientScopes": ["address", "microprofile-jwt", "offline_access", "phone"],
        "protocolMappers": [
            _mapper("subject", "oidc-usermodel-property-mapper", subject),
            _mapper("auth time", "oidc-usersessionmodel-note-mapper", auth_time),
            # Introspection says active:false to a client that is not in the token's audience (26.7).
            _mapper("audience", "oidc-audience-mapper", audience),
        ],
    }


def _mapper(name: str, kind: str, config: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": config}


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
    }
