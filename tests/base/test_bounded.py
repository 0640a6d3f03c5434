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


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    url = f"http://app.warmci.localhost:{port}"
    with http.client(
        base_domain="warmci.localhost", address="127.0.0.2", base_url=url, total_s=TOTAL_S, most_bytes=MOST
    ) as made:
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
