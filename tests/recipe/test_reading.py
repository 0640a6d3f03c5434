"""A commit read without a run: what recipe.toml sets, before there is a realm and with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base.models import Ingress
from warmci.base.settings import Settings
from warmci.recipe.config import RecipeConfig
from warmci.recipe.reading import NOT_YET, overrides, placed

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = RecipeConfig.model_validate(
    {
        "env": {"ORIGIN": "{url}"},
        "sso": {
            "clients": {"office": {}},
            "env": {"BACK": "{url}/back", "ISSUER": "{issuer}", "OFFICE": "{office_client_id} at {domain}"},
        },
    }
)


def test_what_only_a_realm_knows_has_any_value_until_there_is_one(tmp_path: Path) -> None:
    placement = placed(Settings(state_dir=tmp_path), "demo", Ingress.DIRECT, "http")
    assert overrides(CONFIG, placement) == {
        "ORIGIN": placement.url,
        "BACK": f"{placement.url}/back",
        "ISSUER": NOT_YET,
        "OFFICE": f"{NOT_YET} at {placement.domain}",
    }
    assert overrides(CONFIG, placement, {"ISSUER": "https://id"}) == {"ORIGIN": placement.url, "ISSUER": "https://id"}


def test_where_it_would_run(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    urls = [placed(settings, "demo", *taken).url for taken in ((Ingress.DIRECT, "http"), (Ingress.DIRECT, "https"))]
    assert urls == [f"{scheme}://warm-demo.warmci.localhost:{settings.port_first}" for scheme in ("http", "https")]
    assert placed(settings, "demo", Ingress.TRAEFIK, "https").url == "https://warm-demo.warmci.localhost"
