"""Doctor's look at the operator's side: settings, recipes, disk, forge, webhook, alerts that stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from warmci.base import chromium, http
from warmci.base.disk import Room, Watermarks
from warmci.base.findings import Check, checked
from warmci.base.settings import settings_file
from warmci.recipe.config import load_config
from warmci.recipe.repository import default_head
from warmci.recipe.sources import sources
from warmci.report import alerts
from warmci.report.forge import Forge

if TYPE_CHECKING:
    from warmci.base.settings import Settings

_ASK_S = 5.0
_ANSWER_MAX = 65_536


def examine(settings: Settings) -> list[Check]:
    found = [
        checked("settings", _settings),
        checked("disk", lambda: _disk(settings)),
        checked("recipes_dir", lambda: _recipes_dir(settings)),
        checked("recipe_source", lambda: _recipe_source(settings)),
        checked("screenshots", lambda: _screenshots(settings)),
        checked("forge", lambda: _forge(settings)),
        checked("alert webhook", lambda: _webhook(settings)),
    ]
    return [*found, *_alerts(settings)]


def _settings() -> Check:
    path = settings_file()
    if path.is_file():
        return Check(name="settings", status="ok", detail=f"{path} was read")
    return Check(name="settings", status="ok", detail=f"no {path}: defaults, environment")


def _disk(settings: Settings) -> Check:
    room = Room.of(settings.state_dir)
    if Watermarks.of(settings).is_low(room):
        return Check(name="disk", status="warning", detail=f"low: {room}", hint="warmci prune")
    return Check(name="disk", status="ok", detail=str(room))


def _recipes_dir(settings: Settings) -> Check:
    """Every recipe.toml there, as a run would read it."""
    home = settings.recipes_dir
    if not home.is_dir():
        hint = f"mkdir -p {home}, if recipes are to have tests or a recipe.toml"
        return Check(name="recipes_dir", status="warning", detail=f"{home} is not there", hint=hint)
    known = sorted(path.parent.name for path in home.glob("*/recipe.toml"))
    for recipe in known:
        load_config(home, recipe)
    return Check(name="recipes_dir", status="ok", detail=f"{home}: {len(known)} with a recipe.toml, all can be read")


def _recipe_source(settings: Settings) -> Check:
    """By the first enrolled recipe: nobody knows another name that must be there."""
    if not settings.recipes:
        hint = "with a recipe named in the setting recipes it is tried"
        return Check(name="recipe_source", status="ok", detail="not tried: no recipe is enrolled", hint=hint)
    recipe = settings.recipes[0]
    source = sources(settings, recipe)[0].public
    if head := default_head(settings, recipe):
        return Check(name="recipe_source", status="ok", detail=f"{recipe} is at {head[:12]}")
    return Check(name="recipe_source", status="failed", detail=f"no answer on {recipe}", hint=f"git ls-remote {source}")


def _screenshots(settings: Settings) -> Check:
    if settings.screenshots == "never":
        return Check(name="screenshots", status="ok", detail="none, as the setting says")
    found = chromium.find()
    detail = f"{found} draws apps for the reports" if found else f"no Chromium: reports show no app ({chromium.WHERE})"
    return Check(name="screenshots", status="ok", detail=detail)


def _forge(settings: Settings) -> Check:
    if not settings.forge_url:
        return Check(name="forge", status="ok", detail="none: nobody is told of pull requests (forge_url)")
    token = settings.forge_token.get_secret_value()
    if not token:
        return Check(name="forge", status="failed", detail=f"no token for {settings.forge_url}", hint="set forge_token")
    repository = settings.forge_repository.format(recipe=settings.recipes[0] if settings.recipes else "x")
    with Forge(settings.forge_url, token, repository) as forge:
        return Check(name="forge", status="ok", detail=f"{settings.forge_url} knows the token as {forge.name()}'s")


def _webhook(settings: Settings) -> Check:
    """Asked by HEAD alone: a POST would be an alert. Its URL is a secret, and not shown."""
    name = "alert webhook"
    if settings.alert_webhook is None:
        return Check(name=name, status="ok", detail="none: alerts stand in warmci status alone (alert_webhook)")
    url = httpx.URL(settings.alert_webhook.get_secret_value())
    try:
        with http.outside(str(url), total_s=_ASK_S, most_bytes=_ANSWER_MAX) as client:
            code = client.head(url).status_code
    except httpx.HTTPError as error:
        return Check(name=name, status="failed", detail=f"{url.host}: {type(error).__name__}", hint="set alert_webhook")
    return Check(name=name, status="ok", detail=f"{url.host} answers HEAD with {code}; no alert was sent")


def _alerts(settings: Settings) -> list[Check]:
    def each() -> list[Check]:
        return [
            Check(name="alert", status="warning", detail=f"{one.subject}: {one.message}", hint=one.hint)
            for one in alerts.standing(settings)
        ]

    failed: list[Check] = []

    def look() -> Check:
        failed.extend(each())
        return Check(name="alerts", status="ok", detail=f"{len(failed) or 'none'} standing")

    return [checked("alerts", look), *failed]
