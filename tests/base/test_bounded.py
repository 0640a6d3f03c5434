"""Whatever a server sends, a request ends in its time and with its bytes."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import httpx
import pytest

from support import hostile_server
from warmci.base import http

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.base.bounded import Client

TOTAL_S = 1.0
MOST = 2 * 2**20


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with hostile_server.running() as number:
        yield number


@pytest.fixture(params=["an app's", "outside", "outside by a proxy"])
def client(port: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "an app's":
        url = f"http://app.warmci.localhost:{port}"
        made = http.client(
            base_domain="warmci.localhost", address="127.0.0.2", base_url=url, total_s=TOTAL_S, most_bytes=MOST
        )
    elif request.param == "outside":
        made = http.outside(f"http://127.0.0.2:{port}", total_s=TOTAL_S, most_bytes=MOST)
    else:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.2:{port}")
        made = http.outside("http://forge.nowhere.example", total_s=TOTAL_S, most_bytes=MOST)
    with made:
        yield made


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/endless", "longer than 2097152 bytes"),
        ("/headers", "too|Protocol|limit|longer"),
        ("/slow-headers", "no whole answer within 1 s"),
        ("/slow-body", "no whole answer within 1 s"),
        ("/continue", "longer than 2097152 bytes|no whole answer within 1 s"),
        ("/events", "no whole answer within 1 s"),
        ("/loop", "redirects"),
        ("/bomb", "longer than 2097152 bytes"),
        ("/bad-gzip", "incorrect header"),
        ("/short", "without sending complete"),
        ("/silent", "no whole answer within 1 s"),
    ],
)
def test_a_hostile_answer_is_an_error_in_time(client: Client, path: str, said: str) -> None:
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(httpx.HTTPError, match=said):
            client.get(path, follow_redirects=True)
        assert tracemalloc.get_traced_memory()[1] < 80 * 2**20
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < TOTAL_S + 10


def test_each_request_has_its_own_bounds(client: Client) -> None:
    end = time.monotonic() + TOTAL_S + 0.3
    while time.monotonic() < end:
        assert client.get("/").text == "ok"
    with pytest.raises(httpx.ReadTimeout):
        client.get("/slow-headers")
    assert client.get("/").text == "ok"


def test_no_proxy_is_asked_for_a_host_that_is_excepted(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.2:9")
    monkeypatch.setenv("no_proxy", "127.0.0.2")
    with http.outside(f"http://127.0.0.2:{port}", total_s=TOTAL_S, most_bytes=MOST) as client:
        assert client.get("/").text == "ok"
