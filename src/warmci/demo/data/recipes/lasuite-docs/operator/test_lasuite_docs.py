"""Tests of the Docs recipe: people log in, find themselves and what they wrote after an upgrade, and log out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from warmci.testing.pytest_plugin import App, Sso

LOGIN, LOGOUT = "/api/v1.0/authenticate/", "/api/v1.0/logout/"
ME, DOCUMENTS = "/api/v1.0/users/me/", "/api/v1.0/documents/"
TITLE = "Kept over every upgrade"
UNTITLED = "Written without a title"


@pytest.fixture(scope="module")
def alice(sso: Sso) -> httpx.Client:
    return sso.session(LOGIN)


def documents(client: httpx.Client) -> list[dict[str, Any]]:
    answer = client.get(DOCUMENTS)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def write(client: httpx.Client, document: dict[str, str]) -> None:
    if any(document.items() <= found.items() for found in documents(client)):
        return
    # As a browser does: the token from the cookie, and over https the page that sends it.
    headers = {"X-CSRFToken": client.cookies["csrftoken"], "Referer": str(client.base_url)}
    answer = client.post(DOCUMENTS, json=document, headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.seed
def test_seed_document(alice: httpx.Client) -> None:
    write(alice, {"title": TITLE, "content": "# Minutes"})


@pytest.mark.seed
def test_seed_document_without_title(alice: httpx.Client) -> None:
    write(alice, {"content": UNTITLED})


def test_who_logs_in_is_who_she_is(alice: httpx.Client, sso: Sso) -> None:
    me = alice.get(ME).json()
    assert (me["email"], me["full_name"]) == (sso.email, "Alice Example")


def test_cookies_travel_over_https_only(app: App, alice: httpx.Client) -> None:
    assert app.url.startswith("https://")
    sent = {cookie.name: cookie.secure for cookie in alice.cookies.jar}
    assert (sent["docs_sessionid"], sent["csrftoken"]) == (True, True)


def test_it_is_one_account_in_every_realm(app: App, sso: Sso, alice: httpx.Client) -> None:
    """Each run has a realm of its own. Who came under another subject would be a second account, without documents."""
    query = "SELECT email, sub, id FROM core_user"
    lines = app.exec("db", ["psql", "-U", "docs", "-d", "docs", "-AtF", " ", "-c", query]).splitlines()
    accounts = [line.split() for line in lines]
    mine = [sso.email, sso.username, alice.get(ME).json()["id"]]
    assert [account for account in accounts if account[0] == sso.email] == [mine]


def test_documents_are_kept(alice: httpx.Client) -> None:
    found, me = documents(alice), alice.get(ME).json()["id"]
    assert [document["content"] for document in found if document["title"] == TITLE] == ["# Minutes"]
    assert [document["creator"] for document in found if document["content"] == UNTITLED] == [me]


def test_what_is_written_can_be_changed_and_thrown_away(alice: httpx.Client) -> None:
    headers = {"X-CSRFToken": alice.cookies["csrftoken"], "Referer": str(alice.base_url)}
    made = alice.post(DOCUMENTS, json={"title": "Draft"}, headers=headers).json()
    changed = alice.patch(f"{DOCUMENTS}{made['id']}/", json={"title": "Paper"}, headers=headers)
    assert (changed.status_code, changed.json()["title"]) == (200, "Paper")
    assert alice.delete(f"{DOCUMENTS}{made['id']}/", headers=headers).status_code == 204
    assert made["id"] not in {document["id"] for document in documents(alice)}


def test_others_see_nothing_of_it(app: App, sso: Sso) -> None:
    assert app.client.get(DOCUMENTS).status_code == 401
    bob = sso.session(LOGIN, user="bob")
    assert bob.get(ME).json()["email"] == sso.user("bob").email
    assert documents(bob) == []


def test_logout_ends_both_sessions(sso: Sso) -> None:
    client = sso.session(LOGIN)
    assert "/realms/" not in client.get(LOGIN).url.path, "Keycloak knows her and does not ask again"
    assert client.get(ME).status_code == 200
    client.get(LOGOUT)
    assert client.get(ME).status_code == 401, "the app's session is over"
    asked = client.get(LOGIN)
    assert asked.url.path.endswith("/protocol/openid-connect/auth"), "Keycloak's session is over: it asks who she is"
