"""Tests of the Miniflux recipe: what is seeded before an upgrade must be there after it, and people can log in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from warmci.testing.pytest_plugin import App, Sso

CATEGORY = "Kept over every upgrade"
READER = "reader"


@pytest.fixture
def admin(app: App) -> tuple[str, str]:
    return ("admin", app.secret("admin_password"))


def listed(app: App, admin: tuple[str, str], path: str) -> list[dict[str, Any]]:
    response = app.client.get(path, auth=admin)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


@pytest.mark.seed
def test_seed_category(app: App, admin: tuple[str, str]) -> None:
    if CATEGORY not in {category["title"] for category in listed(app, admin, "/v1/categories")}:
        response = app.client.post("/v1/categories", json={"title": CATEGORY}, auth=admin)
        assert response.status_code == 201, response.text


@pytest.mark.seed
def test_seed_user(app: App, admin: tuple[str, str]) -> None:
    if READER not in {user["username"] for user in listed(app, admin, "/v1/users")}:
        # The password is one of the app's own secrets, so that it is known again whenever the data is.
        body = {"username": READER, "password": app.secret("db_password"), "is_admin": False}
        response = app.client.post("/v1/users", json=body, auth=admin)
        assert response.status_code == 201, response.text


def test_category_is_kept(app: App, admin: tuple[str, str]) -> None:
    titles = [category["title"] for category in listed(app, admin, "/v1/categories")]
    assert titles.count(CATEGORY) == 1


def test_user_is_kept_with_her_password(app: App) -> None:
    response = app.client.get("/v1/me", auth=(READER, app.secret("db_password")))
    assert response.status_code == 200, response.text
    assert response.json()["username"] == READER


def test_wrong_password_is_refused(app: App) -> None:
    assert app.client.get("/v1/me", auth=("admin", "not the password")).status_code == 401


def test_login_through_keycloak(app: App, sso: Sso, admin: tuple[str, str]) -> None:
    page = sso.login("/oauth2/oidc/redirect")
    assert page.status_code == 200
    assert page.url.path == "/unread", "Miniflux sends to its login page whom it does not let in"
    # One account, however often and under whichever version she logged in: versions name it differently.
    linked = [user for user in listed(app, admin, "/v1/users") if user["openid_connect_id"]]
    assert [user["username"] in {sso.username, sso.email} for user in linked] == [True]
