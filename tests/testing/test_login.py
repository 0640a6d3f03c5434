"""Each way in which a login by form can end, with Keycloak's pages reduced to what matters."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import httpx
import pytest
import respx

from warmci.base import http
from warmci.base.errors import InfraError, RecipeFailedError
from warmci.testing.login import browser_login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APP = "http://app.warmci.localhost:21000"
REALM = "http://warm-keycloak.warmci.localhost:20000/realms/ci-x"
AUTH = f"{REALM}/protocol/openid-connect/auth"
POST = f"{REALM}/login-actions/authenticate"
PASSWORD = "pass-canary&<>"
BACK = f"{APP}/callback?state=s&code=secret-code"

FORM = """<html><head><title>Sign in to
  ci-x</title></head><body><div id="kc-content"><form id="search" action="/search"><input name="q"></form>
<form id="kc-form-login" action="/realms/ci-x/login-actions/authenticate?session_code=c&amp;tab_id=t" method="post">
<input id="username" name="username" value="" type="text"/><input name="password" value="" type="password">
<input name="rememberMe" type="checkbox"><input type="hidden" name="credentialId"><input type="submit" name="login">
</form></div><input name="outside"></body></html>"""
WRONG = FORM.replace(
    "<form id=",
    '<span id="input-error" aria-live="polite"><span>Invalid username or\n password.</span></span><form id=',
    1,
)
FORM_POST = f"""<html><head><title>OIDC Form_Post Response</title></head><body onload="document.forms[0].submit()">
<form method="post" action="{APP}/callback"><input type="hidden" name="code" value="c&amp;1"/>
<input type="hidden" name="state" value="s"/><noscript><button>Continue</button></noscript></form></body></html>"""


def error_page(said: str) -> str:
    return f'<title>Sign in</title><div id="kc-error-message"><p class="instruction">{said}</p></div>'


def to(url: str, cookie: str = "") -> httpx.Response:
    headers = [("Location", url)] + ([("Set-Cookie", cookie)] if cookie else [])
    return httpx.Response(302, headers=headers)


def page(html: str, status: int = 200) -> httpx.Response:
    return httpx.Response(status, html=html)


@pytest.fixture
def web() -> Iterator[respx.MockRouter]:
    """A login that works; tests replace single steps."""
    with respx.mock(assert_all_called=False) as router:
        router.get(f"{APP}/login").mock(return_value=to(f"{AUTH}?redirect_uri={APP}/callback%3Fa=b&state=s"))
        router.get(AUTH).mock(
            return_value=httpx.Response(200, html=FORM, headers={"Set-Cookie": "K=1; Secure; Path=/"})
        )
        router.post(POST).mock(return_value=to(BACK))
        router.get(f"{APP}/callback").mock(return_value=to("/home", "session=1; Secure; HttpOnly"))
        router.get(f"{REALM}/.well-known/openid-configuration").mock(return_value=httpx.Response(200, json={}))
        router.get(f"{APP}/home").mock(return_value=page("<h1>Welcome alice</h1>"))
        yield router


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with http.client(base_domain="warmci.localhost", address="127.0.0.1", base_url=APP) as client:
        yield client


def login(client: httpx.Client, **more: int) -> httpx.Response:
    return browser_login(client, "/login", "alice", PASSWORD, **more)


def test_login(web: respx.MockRouter, client: httpx.Client) -> None:
    final = login(client)
    assert (str(final.url), final.text) == (f"{APP}/home", "<h1>Welcome alice</h1>")
    sent = next(call.request for call in web.calls if call.request.method == "POST")
    assert str(sent.url) == f"{POST}?session_code=c&tab_id=t"
    assert parse_qs(sent.content.decode(), keep_blank_values=True) == {
        "username": ["alice"],
        "password": [PASSWORD],
        "credentialId": [""],
    }
    assert sent.headers["cookie"] == "K=1"
    assert final.request.headers["cookie"] == "session=1"


def test_form_post(web: respx.MockRouter, client: httpx.Client) -> None:
    web.post(POST).mock(return_value=page(FORM_POST))
    callback = web.post(f"{APP}/callback").mock(return_value=to("/home"))
    assert login(client).status_code == 200
    assert parse_qs(callback.calls[0].request.content.decode()) == {"code": ["c&1"], "state": ["s"]}


def failed(client: httpx.Client, match: str, **more: int) -> RecipeFailedError:
    with pytest.raises(RecipeFailedError, match=match) as caught:
        login(client, **more)
    told = f"{caught.value.message}{caught.value.log}"
    assert "canary" not in told
    assert "secret-code" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (page("<title>My app</title>"), r"no login form of Keycloak reached; it ended at \S+/login, HTTP 200: My app$"),
        (page("oops", 500), r"no login form of Keycloak reached; it ended at \S+/login, HTTP 500$"),
        (page(FORM), "no login form of Keycloak reached"),  # the app's own, however alike
        (to(f"{AUTH}/none"), "no login form of Keycloak reached"),
        (to("/login"), r"redirect loop: no page after 20 redirects, the last: \S+/login$"),
        (to("myapp://callback"), "does not answer: UnsupportedProtocol"),
        (httpx.ConnectError("refused"), r"alice: http://app\S+/login does not answer: ConnectError: refused"),
    ],
)
def test_no_form(web: respx.MockRouter, client: httpx.Client, answer: httpx.Response | Exception, match: str) -> None:
    web.route(scheme="myapp").pass_through()
    web.get(f"{AUTH}/none").mock(return_value=page("<form action='/x'><input name=a></form>"))
    web.get(f"{APP}/login").mock(side_effect=[answer] * 30)
    failed(client, match)


def test_redirect_loop_of_two(web: respx.MockRouter, client: httpx.Client) -> None:
    web.get(f"{APP}/home").mock(return_value=to("/login2"))
    web.get(f"{APP}/login2").mock(return_value=to("/home"))
    failed(client, r"redirect loop: no page after 5 redirects, the last: \S+/home -> \S+/login2$", max_redirects=5)


@pytest.mark.parametrize(
    ("said", "match", "hint"),
    [
        (
            "Invalid parameter: redirect_uri",
            r"refuses the app's redirect URI http://app\S+:21000/callback \(",
            "recipe.toml",
        ),
        ("Client not found.", "Keycloak refuses it: .*HTTP 400: Client not found.", ""),
    ],
)
def test_refused_by_keycloak(web: respx.MockRouter, client: httpx.Client, said: str, match: str, hint: str) -> None:
    web.get(AUTH).mock(return_value=page(error_page(said), 400))
    assert hint in (failed(client, match).hint or "")


def test_realm_that_is_not_there(web: respx.MockRouter, client: httpx.Client) -> None:
    web.get(AUTH).mock(return_value=httpx.Response(404, json={"error": "Realm does not exist"}))
    failed(client, "HTTP 404: .*Realm does not exist")


def test_wrong_password(web: respx.MockRouter, client: httpx.Client) -> None:
    web.post(POST).mock(return_value=page(WRONG))
    failed(client, r"does not accept name and password: Invalid username or password\.$")


def test_form_again_without_a_word(web: respx.MockRouter, client: httpx.Client) -> None:
    web.post(POST).mock(return_value=page(FORM))
    failed(client, "the form came again")


def test_cookies_lost(web: respx.MockRouter, client: httpx.Client) -> None:
    said = "Restart login cookie not found. It may have expired; it may have been deleted or cookies are disabled."
    web.post(POST).mock(return_value=page(error_page(said), 400))
    failed(client, r"did not get its cookies back \(Restart login cookie not found")


def test_required_action(web: respx.MockRouter, client: httpx.Client) -> None:
    action = f"{REALM}/login-actions/required-action"
    web.post(POST).mock(return_value=to(f"{action}?execution=UPDATE_PASSWORD&client_id=app"))
    web.get(action).mock(return_value=page(FORM))
    failed(client, "first demands UPDATE_PASSWORD of the user")


def test_consent_page(web: respx.MockRouter, client: httpx.Client) -> None:
    web.post(POST).mock(return_value=page("<title>Grant Access to app</title>"))
    failed(client, "stopped at Keycloak: .*Grant Access to app")


@pytest.mark.parametrize("status", [400, 403, 500, 502])
def test_app_does_not_take_it(web: respx.MockRouter, client: httpx.Client, status: int) -> None:
    web.get(f"{APP}/callback").mock(return_value=page(f"<title>Sorry</title>{PASSWORD}", status))
    error = failed(client, rf"the app did not accept it: {APP}/callback, HTTP {status}: Sorry$")
    assert "Sorry" in error.log


@pytest.mark.parametrize("answer", [httpx.ConnectError("refused"), page("", 503), page(error_page("broken"), 500)])
@pytest.mark.parametrize("step", [("GET", AUTH), ("POST", POST)])
def test_keycloaks_own_failure_is_not_the_recipes(
    web: respx.MockRouter, client: httpx.Client, answer: httpx.Response | Exception, step: tuple[str, str]
) -> None:
    web.request(*step).mock(side_effect=[answer])
    with pytest.raises(InfraError, match="Keycloak failed during a login: http://warm-keycloak"):
        login(client)


class Clock:
    """Time that passes only while Keycloak thinks."""

    def __init__(self) -> None:
        self.now = 100.0

    def thinking(self, seconds: float, answer: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
        def answered(_: httpx.Request) -> httpx.Response:
            self.now += seconds
            return answer

        return answered


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("warmci.testing.login.time.monotonic", lambda: clock.now)
    return clock


APP_BROKE = page("<title>Sorry</title>", 500)


def test_a_slow_keycloak_that_recovered_excuses_the_app(
    web: respx.MockRouter, client: httpx.Client, clock: Clock
) -> None:
    """Seen: the app gave up on Keycloak after three seconds, and a moment later Keycloak was as healthy as ever."""
    web.post(POST).mock(side_effect=clock.thinking(9, to(BACK)))
    web.get(f"{APP}/callback").mock(return_value=APP_BROKE)
    with pytest.raises(InfraError, match=rf"{REALM} took 9 s for an answer; the app: {APP}/callback, HTTP 500: Sorry$"):
        login(client)


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("slow"), page("", 503)])
def test_a_keycloak_that_fails_the_app_excuses_it(
    web: respx.MockRouter, client: httpx.Client, answer: httpx.Response | Exception
) -> None:
    web.get(f"{REALM}/.well-known/openid-configuration").mock(side_effect=[answer])
    web.get(f"{APP}/callback").mock(return_value=APP_BROKE)
    with pytest.raises(InfraError, match=r"(does not answer: ReadTimeout|answers HTTP 503); the app: "):
        login(client)


def test_a_slow_keycloak_excuses_no_refusal(web: respx.MockRouter, client: httpx.Client, clock: Clock) -> None:
    web.post(POST).mock(side_effect=clock.thinking(9, to(BACK)))
    web.get(f"{APP}/callback").mock(return_value=page("", 403))
    failed(client, "the app did not accept it")


def test_a_login_has_a_deadline_of_its_own(web: respx.MockRouter, client: httpx.Client, clock: Clock) -> None:
    web.post(POST).mock(side_effect=clock.thinking(31, to(BACK)))
    with pytest.raises(InfraError, match="took 31 s"):
        browser_login(client, "/login", "alice", PASSWORD, deadline_s=30)
    web.get(f"{APP}/login").mock(side_effect=clock.thinking(31, to(AUTH)))
    with pytest.raises(InfraError, match=r"Keycloak failed during a login: .* the login's deadline is over"):
        browser_login(client, "/login", "alice", PASSWORD, deadline_s=30)


def test_no_secret_leaves(web: respx.MockRouter, client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    web.post(POST).mock(side_effect=httpx.ReadTimeout(f"slow {PASSWORD}"))
    with pytest.raises(InfraError) as caught:
        login(client)
    assert caught.value.__context__ is None
    assert "canary" not in "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
