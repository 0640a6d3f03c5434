"""One look at an app, whatever it answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from support import hostile_server
from warmci.base import http
from warmci.run import serving
from warmci.swarm.haproxy import NO_TASK, NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.base.bounded import Client


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        hostile_server.running() as port,
        http.client(
            base_domain="warmci.localhost",
            address="127.0.0.2",
            base_url=f"http://app.warmci.localhost:{port}",
            total_s=1.0,
            most_bytes=serving.LOOK_MAX,
        ) as made,
    ):
        yield made


@pytest.mark.parametrize(
    ("path", "ok", "said"),
    [
        ("/", True, "HTTP 200"),
        ("/endless", True, "HTTP 200"),
        ("/events", True, "HTTP 200"),
        ("/slow-body", True, "HTTP 200"),
        ("/bomb", True, "HTTP 200"),
        ("/loop", True, "HTTP 302"),
        ("/bad-gzip", False, "HTTP 200, but its body is not the gzip that Content-Encoding says: "),
        ("/error", False, "HTTP 500"),
        ("/headers", False, "RemoteProtocolError"),
        ("/slow-headers", False, "ReadTimeout: no whole answer within 1 s"),
        ("/continue", False, "Read"),
        ("/short", False, "RemoteProtocolError"),
        ("/silent", False, "ReadTimeout"),
    ],
)
def test_a_look(client: Client, path: str, ok: bool, said: str) -> None:
    began = time.monotonic()
    seen, served = serving.look(client, path)
    assert served is ok
    assert seen.startswith(said)
    assert serving.is_the_apps(seen) == (said.startswith("HTTP") or "longer" in seen)
    assert time.monotonic() - began < 10  # of a loaded machine; the look itself has one second


def test_our_own_proxys_answer_is_not_the_apps() -> None:
    refused = httpx.Response(503, headers={NO_TASK: NOBODY})
    assert serving.judged(refused) == ("HTTP 503: no task answers at the routed port", False)
    assert not serving.is_the_apps(serving.judged(refused)[0])
