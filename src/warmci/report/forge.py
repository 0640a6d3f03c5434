"""Gitea's and Forgejo's API (v1): commit statuses and one comment per pull request that is updated in place."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from warmci.base import http
from warmci.base.errors import InfraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

State = Literal["pending", "success", "error", "failure", "warning"]
REQUEST_TIMEOUT_S = 10.0
ANSWER_MAX = 16 * 2**20
"""Bytes: a page of fifty comments that are as long as a forge allows."""
_NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"
_REPOSITORY = re.compile(rf"{_NAME}/{_NAME}")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PAGE_SIZE = 50
_PAGES_MAX = 40
_DESCRIPTION_MAX = 140
_HINTS = {
    401: "set forge_token in the settings to a valid token",
    403: "the token needs write access to the repository and its issues, and read:user",
    404: "set forge_url and forge_repository in the settings",
}


class ForgeError(InfraError):
    """The forge refused or did not answer; `passing` ones may be asked again."""

    def __init__(self, message: str, *, hint: str | None = None, passing: bool = False, status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.passing = passing
        self.status = status


class Forge:
    """One repository at one forge. Names are checked here, before they become part of a URL."""

    def __init__(self, url: str, token: str, repository: str) -> None:
        self._repository = _checked("forge repository", _REPOSITORY, repository)
        self._url = url.rstrip("/")
        self._token = token
        self._client = http.outside(  # without redirects: one would carry the token to another host
            f"{self._url}/api/v1/",
            headers={"Authorization": f"token {token}", "Accept": "application/json"},
            total_s=REQUEST_TIMEOUT_S,
            most_bytes=ANSWER_MAX,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def pull_head(self, pr: str) -> str:
        """The commit that the pull request's head is now."""
        found = self._ask("GET", f"pulls/{_checked('pull request', _NUMBER, pr)}")
        head = found.get("head") if isinstance(found, dict) else None
        sha = head.get("sha") if isinstance(head, dict) else None
        if not isinstance(sha, str) or not _COMMIT.fullmatch(sha):
            raise ForgeError(f"forge {self._url}: pull request {pr} of {self._repository} names no head")
        return sha

    def set_status(self, commit: str, context: str, state: State, description: str, link: str) -> None:
        """Say what is known of a commit; the newest status of a context counts."""
        path = f"statuses/{_checked('commit', _COMMIT, commit)}"
        text = description if len(description) <= _DESCRIPTION_MAX else f"{description[: _DESCRIPTION_MAX - 1]}…"
        self._ask("POST", path, {"context": context, "state": state, "description": text, "target_url": link})

    def put_comment(self, pr: str, marker: str, body: str) -> None:
        """Update our own comment that begins with the marker, or write the first one."""
        number = _checked("pull request", _NUMBER, pr)
        for comment in self._own_comments(number):
            if str(comment.get("body", "")).startswith(marker):
                try:
                    self._ask("PATCH", f"issues/comments/{int(comment['id'])}", {"body": body})
                except ForgeError as error:
                    if error.status != 404:  # deleted since it was listed
                        raise
                else:
                    return
        self._ask("POST", f"issues/{number}/comments", {"body": body})

    def _own_comments(self, number: str) -> Iterator[dict[str, Any]]:
        """Comments of the token's own user: a stranger's that carries our marker is never edited."""
        me = self._user()
        seen: set[int] = set()
        for page in range(1, _PAGES_MAX + 1):
            found = self._ask("GET", f"issues/{number}/comments?limit={_PAGE_SIZE}&page={page}")
            comments = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
            new = [item for item in comments if type(item.get("id")) is int and item["id"] not in seen]
            for comment in new:
                seen.add(comment["id"])
                author = comment.get("user")
                if isinstance(author, dict) and author.get("id") == me:
                    yield comment
            if not new:  # the last page, or a forge that knows no pages and repeats the whole list
                return

    def name(self) -> str:
        """Whose the token is. Raises ForgeError where it is none."""
        found = self._ask("GET", "/user")
        return str(found.get("login", "")) if isinstance(found, dict) else ""

    def _user(self) -> int:
        found = self._ask("GET", "/user")
        if not isinstance(found, dict) or type(found.get("id")) is not int:
            raise ForgeError(f"forge {self._url}: does not say whose the token is")
        return int(found["id"])

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        where = path.lstrip("/") if path.startswith("/") else f"repos/{self._repository}/{path}"
        what = f"forge {self._url}: {method} {where.partition('?')[0]}"
        try:
            answer = self._client.request(method, where, json=body)
            if answer.is_success:
                return answer.json() if answer.content else None
        except httpx.HTTPError as error:
            raise ForgeError(f"{what}: {type(error).__name__} {error}".rstrip(), passing=True) from None
        except ValueError:
            raise ForgeError(f"{what}: the answer is no JSON", hint="does forge_url name the forge itself?") from None
        status = answer.status_code
        passing = status >= 500 or status in {409, 423, 429}
        raise ForgeError(
            f"{what}: {status} {self._reason(answer)}", hint=_HINTS.get(status), passing=passing, status=status
        )

    def _reason(self, answer: httpx.Response) -> str:
        try:
            said = answer.json()["message"]
        except (ValueError, KeyError, TypeError):
            said = answer.reason_phrase
        return " ".join(str(said).split())[:200].replace(self._token or "\0", "***")


def persist(deadline: float, work: Callable[[], None], *, pause_s: float = 1.0) -> None:
    """Do what may be repeated until it is done, while the forge's failure is a passing one and there is time."""
    while True:
        try:
            work()
        except ForgeError as error:
            if not error.passing or time.monotonic() + pause_s > deadline:
                raise
            time.sleep(pause_s)
            pause_s *= 2
        else:
            return


def _checked(kind: str, pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value) or ".." in value:
        raise UsageError(f"not a {kind} for a forge: {ascii(value)[:60]}", hint=f"it matches {pattern.pattern}")
    return value
