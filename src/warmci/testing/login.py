"""A login as a browser does it: through the app's redirect to Keycloak's form and back to the app."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from warmci.base import http
from warmci.base.errors import InfraError, RecipeFailedError, WarmciError
from warmci.testing.keycloak_page import Form, Page

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYCLOAK_PATH = re.compile(r"/realms/([^/]+)/(protocol/openid-connect|login-actions|broker)/")
_SLOW_S = 5.0
"""Apps wait for Keycloak three seconds (La Suite) to ten: when it takes this long, their failure is no verdict."""
_REDIRECT_HINT = "its redirect URIs are the app's URLs with sso.redirect_paths of recipe.toml"


def browser_login(
    client: httpx.Client,
    start_url: str,
    username: str,
    password: str,
    *,
    max_redirects: int = 20,
    deadline_s: float = 120.0,
) -> httpx.Response:
    """Log in and return the app's last page; `client` (made by http.client) then holds the app's session.

    start_url is the app's own "log in with SSO" address; max_redirects counts for each of the two ways, deadline_s
    for both together. Raises RecipeFailedError with the step that went wrong, InfraError when Keycloak itself is down,
    failing or too slow, be it for the browser or for the app.
    """
    browser = _Browser(client, username, password, max_redirects, time.monotonic() + deadline_s)
    reached = browser.open(client.build_request("GET", start_url))
    form = _login_form(reached)
    if form is None:
        raise browser.failed(f"no login form of Keycloak reached; it ended at {_facts(reached)}", reached)
    answer = browser.submit(reached, form, {"username": username, "password": password})
    handed_over = _form_post(answer)
    if handed_over is not None:
        answer = browser.submit(answer, handed_over, {})
    browser.expect_app(answer)
    return answer


@dataclass
class _Browser:
    client: httpx.Client
    username: str
    password: str = field(repr=False)
    max_redirects: int
    ends: float
    """On the monotonic clock."""
    realm_url: str = ""
    """Of the realm that the way led to."""
    slowest_s: float = 0.0
    """Keycloak's slowest answer on the way."""

    def open(self, request: httpx.Request) -> httpx.Response:
        """Send and follow redirects to a page; Keycloak's own error pages raise."""
        response = self._send(request)
        trail = [_shown(response.url)]
        while response.next_request is not None:
            if len(trail) > self.max_redirects:
                ways = " -> ".join(dict.fromkeys(trail[-4:]))
                raise self.failed(f"redirect loop: no page after {self.max_redirects} redirects, the last: {ways}")
            response = self._send(response.next_request)
            trail.append(_shown(response.url))
        self._expect_keycloak_content(response)
        return response

    def submit(self, page: httpx.Response, form: Form, values: Mapping[str, str]) -> httpx.Response:
        target = page.url.join(form.action) if form.action else page.url
        return self.open(self.client.build_request("POST", target, data={**form.fields, **values}))

    def expect_app(self, answer: httpx.Response) -> None:
        """Raise unless Keycloak let the user in and the app took it."""
        if answer.url.path.endswith("/login-actions/required-action"):
            action = answer.url.params.get("execution", "an action")
            raise self.failed(f"Keycloak first demands {action} of the user: the account is not complete", answer)
        if _login_form(answer) is not None:
            said = Page(answer.text).message or "the form came again"
            raise self.failed(f"Keycloak does not accept name and password: {said}", answer)
        if _is_keycloak(answer.url):
            raise self.failed(f"it stopped at Keycloak: {_facts(answer)}", answer)
        if answer.status_code >= 500:
            self._excuse(_facts(answer))
        if answer.status_code >= 400:
            raise self.failed(f"the app did not accept it: {_facts(answer)}", answer)

    def failed(self, what: str, page: httpx.Response | None = None, hint: str | None = None) -> RecipeFailedError:
        log = "" if page is None else page.text[-4000:]
        message = f"SSO login of {self.username}: {what}"
        return RecipeFailedError(self._masked(message), hint=hint, log=self._masked(log))

    def _masked(self, text: str) -> str:
        return text.replace(self.password, "***") if self.password else text

    def _send(self, request: httpx.Request) -> httpx.Response:
        began = time.monotonic()
        left_s = self.ends - began
        if left_s <= 0:
            raise self._unanswered(request.url, "the login's deadline is over")
        timeout = httpx.Timeout(left_s, connect=min(left_s, http.CONNECT_TIMEOUT_S))
        request.extensions = {**request.extensions, "timeout": timeout.as_dict()}
        try:
            response = self.client.send(request, follow_redirects=False)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            # The error holds the request and so the password: only its words leave here.
            said = f"{type(error).__name__}: {error}"
        else:
            if found := _KEYCLOAK_PATH.search(request.url.path):
                self.realm_url = str(request.url.join(f"{request.url.path[: found.start()]}/realms/{found[1]}"))
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            return response
        raise self._unanswered(request.url, said)

    def _unanswered(self, url: httpx.URL, said: str) -> WarmciError:
        seen = f"{_shown(url)} does not answer: {said}"
        if _is_keycloak(url):
            return InfraError(self._masked(f"Keycloak failed during a login: {seen}"), hint="warmci doctor")
        self._excuse(seen)
        return self.failed(seen)

    def _excuse(self, seen: str) -> None:
        """Raise InfraError if Keycloak is why the app fails: it asks Keycloak as well, with a patience of its own."""
        if not self.realm_url:
            return
        began, what = time.monotonic(), ""
        try:
            status = self.client.get(f"{self.realm_url}/.well-known/openid-configuration", timeout=_SLOW_S).status_code
            what = f"answers HTTP {status}" if status >= 500 else ""
        except httpx.RequestError as error:
            what = f"does not answer: {type(error).__name__}"
        slowest_s = max(self.slowest_s, time.monotonic() - began)
        if not what and slowest_s >= _SLOW_S:
            what = f"took {slowest_s:.0f} s for an answer"
        if what:
            message = f"Keycloak failed during a login: {self.realm_url} {what}; the app: {seen}"
            raise InfraError(self._masked(message), hint="warmci doctor")

    def _expect_keycloak_content(self, page: httpx.Response) -> None:
        if not _is_keycloak(page.url) or page.status_code < 400:
            return
        if page.status_code >= 500:
            raise InfraError(f"Keycloak failed during a login: {_facts(page)}", hint="warmci doctor")
        said = _said(page)
        if "redirect_uri" in said:
            asked = page.url.params.get("redirect_uri", "")
            shown = _shown(httpx.URL(asked)) if asked else "none"
            raise self.failed(f"Keycloak refuses the app's redirect URI {shown} ({said})", page, _REDIRECT_HINT)
        if "Restart login cookie" in said:
            raise self.failed(f"Keycloak did not get its cookies back ({said})", page, "one client and host per login")
        raise self.failed(f"Keycloak refuses it: {_facts(page)}", page)


def _is_keycloak(url: httpx.URL) -> bool:
    return bool(_KEYCLOAK_PATH.search(url.path))


def _login_form(page: httpx.Response) -> Form | None:
    """Keycloak's form for name and password; an app's own login form is not one."""
    if not _is_keycloak(page.url) or page.status_code != 200:
        return None
    forms = Page(page.text).forms
    return next((form for form in forms if form.asks_password and "/login-actions/authenticate" in form.action), None)


def _form_post(page: httpx.Response) -> Form | None:
    """The form that a browser's script submits when the app asked for response_mode=form_post."""
    if not _is_keycloak(page.url) or page.status_code != 200:
        return None
    forms = Page(page.text).forms
    return next((form for form in forms if "state" in form.fields and form.fields.keys() & {"code", "error"}), None)


def _shown(url: httpx.URL) -> str:
    """Without the query: it carries codes and states."""
    return str(url.copy_with(query=None, fragment=None, userinfo=b""))


def _said(page: httpx.Response) -> str:
    if "json" in page.headers.get("content-type", ""):
        return " ".join(page.text.split())[:200]
    read = Page(page.text)
    return (read.message or read.title)[:200]


def _facts(page: httpx.Response) -> str:
    said = _said(page)
    return f"{_shown(page.url)}, HTTP {page.status_code}" + (f": {said}" if said else "")
