"""What stands in the tokens of a run's realm: protocol mappers, by Keycloak's names for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVERYWHERE = {
    f"{kind}.claim": "true" for kind in ("id.token", "access.token", "userinfo.token", "introspection.token")
}
_PROPERTIES = {"username": "username", "email": "email", "first_name": "firstName", "last_name": "lastName"}


def standard_mappers(client_id: str) -> list[dict[str, Any]]:
    """A subject that is the same in every realm, and what the scope `basic` would have brought but for its subject."""
    audience = {
        "included.client.audience": client_id,
        "access.token.claim": "true",
        "introspection.token.claim": "true",
    }
    auth_time = {"user.session.note": "AUTH_TIME", "claim.name": "auth_time", "jsonType.label": "long", **_EVERYWHERE}
    return [
        _mapper("subject", "oidc-usermodel-property-mapper", {**_text("sub"), "user.attribute": "username"}),
        _mapper("auth time", "oidc-usersessionmodel-note-mapper", auth_time),
        # Introspection says active:false to a client that is not in the token's audience (26.7).
        _mapper("audience", "oidc-audience-mapper", audience),
    ]


def claim_mappers(claims: Mapping[str, str | bool | int], sources: Mapping[str, str]) -> list[dict[str, Any]]:
    """Constants, and what comes from the user: claim to a word of recipe.config.CLAIM_SOURCES or `attribute:NAME`."""
    constants = [_constant(name, value) for name, value in claims.items()]
    return [*constants, *(_from_user(name, source) for name, source in sources.items())]


def _constant(claim: str, value: str | bool | int) -> dict[str, Any]:
    kind = "boolean" if isinstance(value, bool) else "long" if isinstance(value, int) else "String"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    config = {"claim.name": claim, "claim.value": text, "jsonType.label": kind, **_EVERYWHERE}
    return _mapper(f"claim {claim}", "oidc-hardcoded-claim-mapper", config)


def _from_user(claim: str, source: str) -> dict[str, Any]:
    title, text = f"claim {claim}", _text(claim)
    if source in ("groups", "group_paths"):
        config = {**text, "full.path": str(source == "group_paths").lower()}
        return _mapper(title, "oidc-group-membership-mapper", config)
    if source == "roles":
        return _mapper(title, "oidc-usermodel-realm-role-mapper", {**text, "multivalued": "true"})
    if source in _PROPERTIES:
        return _mapper(title, "oidc-usermodel-property-mapper", {**text, "user.attribute": _PROPERTIES[source]})
    attribute = source.removeprefix("attribute:")
    return _mapper(title, "oidc-usermodel-attribute-mapper", {**text, "user.attribute": attribute})


def _text(claim: str) -> dict[str, str]:
    return {"claim.name": claim, "jsonType.label": "String", **_EVERYWHERE}


def _mapper(name: str, kind: str, config: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": config}
