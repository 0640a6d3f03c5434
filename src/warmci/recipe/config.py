"""The operator's recipe.toml: what a recipe needs, and how realm and URL map to its own names."""

from __future__ import annotations

import string
import tomllib
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError, field_validator

from warmci.base.errors import UsageError
from warmci.base.models import Record
from warmci.recipe.ingress import ROUTE, Ask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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


class SsoConfig(Record):
    """How the run's realm reaches the app: its env names, its secrets, its redirect paths."""

    redirect_paths: tuple[Annotated[str, Field(pattern=r"^/")], ...] = ("/*",)
    roles: frozenset[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,63}$")]] = frozenset()
    """Realm roles that exist, and that the test user has."""
    fixed_realm: bool = False
    """One realm name for all runs of the recipe, for apps that store the issuer; its runs then wait for each other."""
    env: dict[str, str] = {}
    secrets: dict[str, str] = {}

    @field_validator("env", "secrets")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        return _check_placeholders(value, APP_PLACEHOLDERS | SSO_PLACEHOLDERS)


class RecipeConfig(Record):
    """recipe.toml; every field has a default, so a recipe needs none."""

    needs: tuple[Literal["keycloak"], ...] = ()
    health_path: str = Field("/", pattern=r"^/")
    health_host: str = Field("", pattern=r"^[a-z0-9{][a-z0-9.{}-]{0,126}$|^$")
    """Whose health_path is asked, under {domain}; empty: the domain itself."""
    route: str = Field("", pattern=rf"^(?:{ROUTE.pattern})?$")
    """`service:port`, `https://service:port` or `none`, in place of what the labels say."""
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
        return Ask(self.route, self.health_host.replace("{domain}", domain))


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
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path}: {field}: {first['msg']}", hint="see docs/recipes.md") from error
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", hint="see docs/recipes.md") from error
