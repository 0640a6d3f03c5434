"""Traefik's own pages are told from an app's by their words; through a real one in tests/ingress."""

from __future__ import annotations

import httpx
import pytest

from warmci.run.behind_traefik import _own_word


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (404, "404 page not found\n", "no router of Traefik takes it"),
        (502, "Bad Gateway", "Traefik does not reach the service on its port"),
        (503, "no available server\n", "Traefik knows the route, but no task behind it"),
        (504, "Gateway Timeout", "the service does not answer Traefik in time"),
        (500, "Internal Server Error", "Traefik and the service do not understand each other"),
        (404, "<h1>404 page not found</h1> by the app", ""),
        (502, "", ""),
        (200, "404 page not found\n", ""),
        (404, "x" * 10_000_000, ""),
    ],
)
def test_traefiks_own_pages(status: int, body: str, word: str) -> None:
    answer = httpx.Response(status, stream=httpx.ByteStream(body.encode()))
    said = _own_word(answer)
    assert said.startswith(f" of Traefik itself: {word}") if word else said == ""
