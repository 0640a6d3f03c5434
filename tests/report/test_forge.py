"""The forge's client: each answer that the API documents, names before URLs, and a token that nobody sees."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx

from support.forge_server import ME, PULL_HEAD, STRANGER, TOKEN
from warmci.base.errors import UsageError
from warmci.report.forge import Forge, ForgeError, persist

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "https://git.example.org"
API = f"{URL}/api/v1/repos/coop-cloud/miniflux"
MARK = "<!-- warmci cold 0123456789ab -->"


@pytest.fixture
def forge() -> Iterator[Forge]:
    with Forge(URL, TOKEN, "coop-cloud/miniflux") as made:
        yield made


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock as router:
        yield router


def status(forge: Forge, description: str = "cold: it passed") -> None:
    forge.set_status(PULL_HEAD, "warmci/cold", "success", description, "https://ci.example.org/7")


def sent(route: respx.Route) -> Any:
    return json.loads(route.calls.last.request.content)


def test_a_status_is_posted_with_the_token_in_a_header_only(forge: Forge, api: respx.MockRouter) -> None:
    route = api.post(f"{API}/statuses/{PULL_HEAD}").respond(201, json={"id": 1})
    status(forge)
    request = route.calls.last.request
    assert request.headers["Authorization"] == f"token {TOKEN}"
    assert TOKEN not in str(request.url)
    assert sent(route) == {
        "context": "warmci/cold",
        "state": "success",
        "description": "cold: it passed",
        "target_url": "https://ci.example.org/7",
    }
    status(forge, "x" * 500)
    assert len(sent(route)["description"]) == 140


@pytest.mark.parametrize(
    ("code", "passing", "hint"),
    [
        (400, False, None),
        (401, False, "forge_token"),
        (403, False, "write access"),
        (404, False, "forge_repository"),
        (409, True, None),
        (422, False, None),
        (423, True, None),
        (429, True, None),
        (500, True, None),
        (503, True, None),
        (302, False, None),
    ],
)
def test_every_refusal_is_one_line_without_the_token(
    forge: Forge, api: respx.MockRouter, code: int, passing: bool, hint: str | None
) -> None:
    answer = httpx.Response(code, json={"message": f"no,\nnot with {TOKEN}"}, headers={"Location": "https://evil/"})
    api.post(f"{API}/statuses/{PULL_HEAD}").mock(return_value=answer)
    with pytest.raises(ForgeError) as caught:
        status(forge)
    error = caught.value
    assert error.message.startswith(f"forge {URL}: POST repos/coop-cloud/miniflux/statuses/{PULL_HEAD}: {code} no,")
    assert "\n" not in error.message
    assert TOKEN not in f"{error.message} {error.hint} {error!r}"
    assert (error.passing, error.status, error.exit_code) == (passing, code, 3)
    assert hint is None or hint in str(error.hint)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("gone"),
    ],
)
def test_no_answer_is_a_passing_failure(forge: Forge, api: respx.MockRouter, failure: Exception) -> None:
    api.post(f"{API}/statuses/{PULL_HEAD}").mock(side_effect=failure)
    with pytest.raises(ForgeError, match=type(failure).__name__) as caught:
        status(forge)
    assert caught.value.passing
    assert caught.value.__cause__ is None  # a request in a traceback would hold the token


@pytest.mark.parametrize("text", ["<html>hello</html>", "\xff"])
def test_an_answer_that_is_no_json(forge: Forge, api: respx.MockRouter, text: str) -> None:
    api.post(f"{API}/statuses/{PULL_HEAD}").respond(200, text=text)
    with pytest.raises(ForgeError, match="is no JSON"):
        status(forge)


def test_the_head_of_a_pull_request(forge: Forge, api: respx.MockRouter) -> None:
    route = api.get(f"{API}/pulls/7").respond(200, json={"head": {"sha": PULL_HEAD}})
    assert forge.pull_head("7") == PULL_HEAD
    odd: Any
    for odd in ({}, [], {"head": None}, {"head": {"sha": "../x"}}, {"head": {"sha": 7}}):
        route.respond(200, json=odd)
        with pytest.raises(ForgeError, match="names no head"):
            forge.pull_head("7")


# --- the comment


def listing(api: respx.MockRouter, *pages: list[dict[str, Any]]) -> None:
    api.get(f"{URL}/api/v1/user").respond(200, json=ME)
    for number in range(1, len(pages) + 2):
        found = pages[number - 1] if number <= len(pages) else []
        api.get(f"{API}/issues/7/comments", params={"limit": "50", "page": str(number)}).respond(200, json=found)


def comment(number: int, body: str = "hello", user: Any = STRANGER) -> dict[str, Any]:
    return {"id": number, "body": body, "user": user}


def test_the_first_comment_is_written(forge: Forge, api: respx.MockRouter) -> None:
    listing(api, [comment(1)])
    route = api.post(f"{API}/issues/7/comments").respond(201, json={"id": 2})
    forge.put_comment("7", MARK, f"{MARK}\ntext")
    assert sent(route) == {"body": f"{MARK}\ntext"}


def test_our_comment_is_found_on_a_later_page_and_updated(forge: Forge, api: respx.MockRouter) -> None:
    ours = comment(99, f"{MARK}\nold", ME)
    listing(api, [comment(n) for n in range(1, 51)], [comment(n) for n in range(51, 60)], [ours])
    route = api.patch(f"{API}/issues/comments/99").respond(200, json={})
    forge.put_comment("7", MARK, f"{MARK}\nnew")
    assert sent(route) == {"body": f"{MARK}\nnew"}


@pytest.mark.parametrize(
    "other",
    [
        comment(5, f"{MARK}\nspoofed by a stranger"),
        comment(5, f"> {MARK}\nquoted", ME),
        comment(5, "<!-- warmci quick 0123456789ab -->\nother mode", ME),
        comment(5, "<!-- warmci cold ba9876543210 -->\nother host", ME),
        comment(5, f"{MARK}\nno author", None),
        comment(5, MARK, {"id": "3"}),
        {"id": "5", "body": MARK, "user": ME},
        {"body": MARK, "user": ME},
    ],
)
def test_other_comments_are_never_edited(forge: Forge, api: respx.MockRouter, other: dict[str, Any]) -> None:
    listing(api, [other])
    route = api.post(f"{API}/issues/7/comments").respond(201, json={"id": 6})
    forge.put_comment("7", MARK, f"{MARK}\nnew")
    assert route.called


def test_a_forge_without_pages_is_asked_twice_at_most(forge: Forge, api: respx.MockRouter) -> None:
    api.get(f"{URL}/api/v1/user").respond(200, json=ME)
    everything = [comment(n) for n in range(1, 200)]
    listed = api.get(url__startswith=f"{API}/issues/7/comments").respond(200, json=everything)
    api.post(f"{API}/issues/7/comments").respond(201, json={"id": 6})
    forge.put_comment("7", MARK, MARK)
    assert listed.call_count == 2


def test_a_list_without_end_ends(forge: Forge, api: respx.MockRouter) -> None:
    api.get(f"{URL}/api/v1/user").respond(200, json=ME)
    listed = api.get(url__startswith=f"{API}/issues/7/comments")
    listed.mock(side_effect=lambda request: httpx.Response(200, json=[comment(int(request.url.params["page"]))]))
    api.post(f"{API}/issues/7/comments").respond(201, json={"id": 6})
    forge.put_comment("7", MARK, MARK)
    assert listed.call_count == 40


def test_a_comment_deleted_meanwhile_is_written_anew(forge: Forge, api: respx.MockRouter) -> None:
    listing(api, [comment(5, MARK, ME)])
    api.patch(f"{API}/issues/comments/5").respond(404, json={"message": "gone"})
    route = api.post(f"{API}/issues/7/comments").respond(201, json={"id": 6})
    forge.put_comment("7", MARK, MARK)
    assert route.called


def test_a_token_that_may_not_ask_whose_it_is_writes_nothing(forge: Forge, api: respx.MockRouter) -> None:
    api.get(f"{URL}/api/v1/user").respond(403, json={"message": "token lacks scope"})
    with pytest.raises(ForgeError, match="lacks scope") as caught:
        forge.put_comment("7", MARK, MARK)
    assert "read:user" in str(caught.value.hint)


# --- names


@pytest.mark.parametrize(
    "repository", ["", "miniflux", "a/b/c", "../x", "a/..", "a/b?x=1", "a/b#c", "a%2f/b", "a/b\n", "a b/c", "a/b:c@d"]
)
def test_repositories_are_checked_before_they_become_urls(repository: str) -> None:
    with pytest.raises(UsageError):
        Forge(URL, TOKEN, repository)


@pytest.mark.parametrize("value", ["", "0", "-1", "7/../8", "7?x", "seven", "\u0667", "7\n", "1" * 30])
def test_numbers_and_commits_are_checked(forge: Forge, value: str) -> None:
    with pytest.raises(UsageError):
        forge.pull_head(value)
    with pytest.raises(UsageError):
        forge.put_comment(value, MARK, MARK)
    with pytest.raises(UsageError):
        forge.set_status(value, "warmci/cold", "success", "", "")


# --- persistence


def test_passing_failures_are_tried_again_others_not() -> None:
    left = [ForgeError("busy", passing=True), ForgeError("busy", passing=True)]

    def work() -> None:
        if left:
            raise left.pop()

    persist(time.monotonic() + 5, work, pause_s=0.01)
    assert left == []
    left += [ForgeError("busy", passing=True), ForgeError("no")]
    with pytest.raises(ForgeError, match="no"):
        persist(time.monotonic() + 5, work, pause_s=0.01)
    assert len(left) == 1


def test_persistence_ends_at_its_deadline() -> None:
    def work() -> None:
        raise ForgeError("busy", passing=True)

    with pytest.raises(ForgeError):
        persist(time.monotonic() + 0.05, work, pause_s=0.01)
