"""The operator's recipe.toml: what a recipe needs, and how realm and URL map to its own names."""

from __future__ import annotations

import string
import tomllib
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from warmci.base.errors import UsageError
from warmci.base.mistakes import told
from warmci.base.models import Record
from warmci.recipe.ingress import ROUTE, Ask
from warmci.recipe.own_ca import USUAL, Way

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

APP_CLIENT = "app"
TEST_USER = "alice"
APP_PLACEHOLDERS = frozenset({"url", "domain", "port"})
SSO_PLACEHOLDERS = frozenset(
    {
        "issuer",
        "realm",
        "client_id",
        "client_secret",
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "end_session_endpoint",
    }
)


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
"""Of a user or a client in recipe.toml."""
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,63}$")]
"""A role, or one part of a group's path."""
Group = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,63}(/[A-Za-z0-9][A-Za-z0-9_. -]{0,63}){0,7}$")]
UrlPath = Annotated[str, Field(pattern=r"^/")]
CLAIM_SOURCES = ("groups", "group_paths", "roles", "username", "email", "first_name", "last_name")


class UserConfig(Record):
    """A user of the realm, beside alice or alice herself."""

    email: str = ""
    """Empty: NAME@example.org."""
    first_name: str = ""
    """Empty: the name with a capital."""
    last_name: str = "Example"
    roles: frozenset[Word] = frozenset()
    """Realm roles, over those of [sso]; they exist by being named."""
    groups: tuple[Group, ...] = ()
    """`staff`, or `staff/editors` below it; they exist by being named."""
    attributes: dict[str, str] = {}


class ClientConfig(Record):
    """A client of the realm beside the app's own: for a second component, a robot, a token that tests ask for."""

    redirect_paths: tuple[UrlPath, ...] = ()
    public: bool = False
    service_account: bool = False
    """It may log in as itself (client_credentials)."""


class SsoConfig(Record):
    """How the run's realm reaches the app: its env names, its secrets, its redirect paths."""

    redirect_paths: tuple[UrlPath, ...] = ("/*",)
    roles: frozenset[Word] = frozenset()
    """Realm roles that exist, and that every user has."""
    fixed_realm: bool = False
    """One realm name for all runs of the recipe, for apps that store the issuer; its runs then wait for each other."""
    login_timeout_s: float = Field(120.0, gt=0)
    """Seconds that a login through app and Keycloak may take."""
    backchannel_logout_path: str = Field("", pattern=r"^(/.*)?$")
    """Path of the app that Keycloak tells when a session ends; empty: none."""
    users: dict[Name, UserConfig] = {}
    clients: dict[Name, ClientConfig] = {}
    claims: dict[str, str | bool | int] = {}
    """Claim to its value: a constant, or a source in braces, such as {groups} or {attribute:department}."""
    env: dict[str, str] = {}
    secrets: dict[str, str] = {}

    @field_validator("claims")
    @classmethod
    def _sources(cls, value: dict[str, str | bool | int]) -> dict[str, str | bool | int]:
        for name, said in value.items():
            source = claim_source(said)
            if not name or (source and source not in CLAIM_SOURCES and not source.startswith("attribute:")):
                known = ", ".join(f"{{{known}}}" for known in (*CLAIM_SOURCES, "attribute:NAME"))
                raise ValueError(f"{name}: unknown source {{{source}}}; known: {known}")
        return value

    @field_validator("clients")
    @classmethod
    def _own_names(cls, value: dict[str, ClientConfig]) -> dict[str, ClientConfig]:
        if APP_CLIENT in value:
            raise ValueError(f"{APP_CLIENT} is the app's own client, which there is anyway")
        return value

    @field_validator("users")
    @classmethod
    def _own_addresses(cls, value: dict[str, UserConfig]) -> dict[str, UserConfig]:
        """Keycloak refuses a realm in which two people share one."""
        taken: dict[str, str] = {}
        for name, user in {TEST_USER: UserConfig(), **value}.items():
            email = email_of(name, user).lower()
            if other := taken.get(email):
                raise ValueError(f"{name} and {other} have the same e-mail address {email}")
            taken[email] = name
        return value

    @field_validator("env", "secrets")
    @classmethod
    def _known(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        clients = info.data.get("clients", {})
        of_clients = {f"{name}_{fact}" for name in clients for fact in ("client_id", "client_secret")}
        return _check_placeholders(value, APP_PLACEHOLDERS | SSO_PLACEHOLDERS | of_clients)


def email_of(name: str, user: UserConfig) -> str:
    return user.email or f"{name}@example.org"


def claim_source(said: str | bool | int) -> str:
    """`groups` of `{groups}`; empty for a constant."""
    if isinstance(said, str) and said.startswith("{") and said.endswith("}"):
        return said[1:-1]
    return ""


class RecipeConfig(Record):
    """recipe.toml; every field has a default, so a recipe needs none."""

    needs: tuple[Literal["keycloak"], ...] = ()
    health_path: str = Field("/", pattern=r"^/")
    health_host: str = Field("", pattern=r"^[a-z0-9{][a-z0-9.{}-]{0,126}$|^$")
    """Whose health_path is asked, under {domain}; empty: the domain itself."""
    route: str = Field("", pattern=rf"^(?:{ROUTE.pattern})?$")
    """`service:port`, `https://service:port` or `none`, in place of what the labels say."""
    scheme: Literal["http", "https"] = "https"
    """What the ingress direct speaks with the app's users. Behind Traefik it is https."""
    trust: tuple[Way, ...] = USUAL
    """How the app's containers come to trust a CA of ours where its names are served by one; empty: not at all."""
    attach: Literal["overlay", "copy"] = "overlay"
    allow: tuple[str, ...] = ()
    test_timeout_s: float = Field(600.0, gt=0)
    env: dict[str, str] = {}
    secrets: dict[str, Annotated[str, Field(min_length=1)]] = {}
    """By name without version, literally: what the recipe has not generated (`generate=false`), or another value."""
    sso: SsoConfig | None = None

    @field_validator("env")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        return _check_placeholders(value, APP_PLACEHOLDERS)

    @field_validator("health_host")
    @classmethod
    def _under_domain(cls, value: str) -> str:
        if value and value != "{domain}" and not value.endswith(".{domain}"):
            raise ValueError("a host of the app is {domain} or ends in .{domain}")
        return value

    def ask(self, domain: str) -> Ask:
        """What is to be asked of an app at that domain."""
        return Ask(self.route, self.health_host.replace("{domain}", domain), self.health_path)


def _check_placeholders(values: dict[str, str], known: frozenset[str]) -> dict[str, str]:
    for name, template in values.items():
        parts = [part for part in string.Formatter().parse(template) if part[1] is not None]
        if any(spec or conversion for _, _, spec, conversion in parts):
            raise ValueError(f"{name}: a placeholder is a name in braces and no more")
        fields = {field for _, field, _, _ in parts if field is not None}
        if unknown := sorted(fields - known):
            raise ValueError(f"{name}: unknown placeholder {{{unknown[0]}}}; known: {', '.join(sorted(known))}")
    return values


def filled(templates: Mapping[str, str], facts: Mapping[str, str]) -> dict[str, str]:
    return {name: template.format_map(facts) for name, template in templates.items()}


def load_config(recipes_dir: Path, recipe: str) -> RecipeConfig:
    """RECIPE/recipe.toml of the operator's directory, or the defaults where there is none."""
    path = recipes_dir / recipe / "recipe.toml"
    try:
        return RecipeConfig(**tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return RecipeConfig()
    except ValidationError as error:
        raise UsageError(f"{path}: {told(error, RecipeConfig)}", hint="see docs/recipes.md") from error
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", hint="see docs/recipes.md") from error
