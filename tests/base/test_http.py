"""The client against real sockets on loopback: names, cookies, proxies, timeouts."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from warmci.base import http

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "warmci.localhost"


class Echo(BaseHTTPRequestHandler):
    """Answers with the Host and the cookies that it got; sets the cookies of the browser-hostile kind."""

    def do_GET(self) -> None:
        text = f"{self.headers['Host'].partition(':')[0]} {self.headers.get('Cookie', '')}"
        self.send_response(302 if self.path == "/redirect" else 200)
        if self.path != "/echo":
            self.send_header("Set-Cookie", "id=1; Path=/; Secure; HttpOnly; SameSite=None")
        if self.path == "/redirect":
            self.send_header("Location", "/echo")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.2", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with http.client(base_domain=BASE, address="127.0.0.2", timeout_s=5) as client:
        yield client


@pytest.mark.parametrize("host", [BASE, f"a.{BASE}", f"A.b.{BASE}", "other.localhost"])
def test_our_names_are_found_at_the_address(client: httpx.Client, port: int, host: str) -> None:
    response = client.get(f"http://{host}:{port}/echo")
    assert response.text.split()[0] == host.lower()
    assert response.url.host == host.lower()


def test_other_names_are_not(client: httpx.Client, port: int) -> None:
    with pytest.raises(httpx.ConnectError):
        client.get(f"http://127.0.0.1:{port}/echo")
    assert client.get(f"http://127.0.0.2:{port}/echo").text.startswith("127.0.0.2")


@pytest.mark.parametrize(
    ("host", "mapped"),
    [
        ("ci.example.org", True),
        ("x.ci.example.org.", True),
        ("X.CI.example.org", True),
        ("x.localhost", True),
        ("xci.example.org", False),
        ("example.org", False),
        ("ci.example.org.evil.test", False),
        ("localhost", False),
    ],
)
def test_which_names_are_ours(host: str, mapped: bool) -> None:
    assert http.is_mapped(host, "ci.example.org") is mapped


@pytest.mark.parametrize("host", [f"app.{BASE}", "127.0.0.2"])
def test_secure_cookies_come_back_over_http(client: httpx.Client, port: int, host: str) -> None:
    client.get(f"http://{host}:{port}/set")
    assert client.get(f"http://{host}:{port}/echo").text == f"{host} id=1"
    assert client.get(f"http://other.{BASE}:{port}/echo").text == f"other.{BASE} "


@pytest.mark.parametrize("host", ["localhost", "one"])
def test_a_base_domain_without_dots(port: int, host: str) -> None:
    with http.client(base_domain=host, address="127.0.0.2") as client:
        client.get(f"http://{host}:{port}/set")
        assert client.get(f"http://{host}:{port}/echo").text == f"{host} id=1"


def test_the_cookie_is_there_after_a_redirect(port: int) -> None:
    with http.client(base_domain=BASE, address="127.0.0.2", follow_redirects=True) as client:
        assert client.get(f"http://app.{BASE}:{port}/redirect").text == f"app.{BASE} id=1"


def test_base_url_and_no_redirects_by_default(port: int) -> None:
    with http.client(base_domain=BASE, address="127.0.0.2", base_url=f"http://app.{BASE}:{port}") as client:
        assert client.get("/redirect").status_code == 302


def test_secure_cookies_of_strangers_stay_secure(client: httpx.Client) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Set-Cookie": "id=1; Secure"})

    strange = httpx.Client(transport=httpx.MockTransport(answer), cookies=client.cookies)
    client._transport = strange._transport
    client.get("http://stranger.example.org/")
    client.get(f"https://app.{BASE}/")
    assert {cookie.domain: cookie.secure for cookie in client.cookies.jar} == {
        "stranger.example.org": True,
        f"app.{BASE}": True,
    }


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with http.client(base_domain=BASE, address="127.0.0.2") as client:
        assert client.get(f"http://app.{BASE}:{port}/echo").status_code == 200


def test_connecting_never_takes_longer_than_reading_may() -> None:
    with http.client(base_domain=BASE, address="127.0.0.2", timeout_s=60) as client:
        assert client.timeout == httpx.Timeout(60, connect=5)
    with http.client(base_domain=BASE, address="127.0.0.2", timeout_s=1) as client:
        assert client.timeout == httpx.Timeout(1)
