"""Whether an app serves: the status line and the beginning of the body, whatever would come after."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import httpx

from warmci.base.bounded import TOO_LONG
from warmci.swarm.haproxy import NO_TASK, NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.base.bounded import Client

LOOK_S = 10.0
"""For one look: connect, headers and beginning of the body together."""
HEAD_MAX = 65_536
LOOK_MAX = 4 * HEAD_MAX
"""Bytes of one look, headers included."""
ACCEPTED = {"Accept-Encoding": "gzip, deflate"}
"""What this reads."""
_GZIP, _ZLIB, _RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_WINDOWS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _RAW)}


def look(client: Client, path: str) -> tuple[str, bool]:
    """(what was seen, whether it is an answer below 400 that can be read). Raises nothing that an app can cause.

    The status line alone decides where the body goes on without an end or comes too slowly.
    """
    try:
        with client.stream("GET", path, headers=ACCEPTED) as response:
            return judged(response)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}", False


def is_the_apps(seen: str) -> bool:
    """Whether what look() saw is an answer of a task, so that something listens where it is asked."""
    return (seen.startswith("HTTP ") and NOBODY not in seen) or TOO_LONG in seen


def judged(response: httpx.Response) -> tuple[str, bool]:
    """The same of an answer whose body is not yet read."""
    seen, ok = f"HTTP {response.status_code}", response.status_code < 400
    if said := response.headers.get(NO_TASK):
        return f"{seen}: {said} at the routed port", False  # the word of our own proxy, of the ingress direct
    streams = response.headers.get("content-type", "").startswith("text/event-stream")
    if response.status_code >= 300 or streams:
        return seen, ok
    fault = _fault_of(response)
    return (f"{seen}, but {fault}", False) if fault else (seen, ok)


def _fault_of(response: httpx.Response) -> str:
    """Why the beginning of the body cannot be read; empty when it can, or does not come in time."""
    encoding = response.headers.get("content-encoding", "").rpartition(",")[2].strip().lower()
    body = b"".join(_head(response))
    if not body or encoding not in _WINDOWS:
        return ""
    why = ""
    for window in _WINDOWS[encoding]:
        try:
            zlib.decompressobj(window).decompress(body, HEAD_MAX)
        except zlib.error as error:
            why = f"its body is not the {encoding} that Content-Encoding says: {error}"
        else:
            return ""
    return why


def _head(response: httpx.Response) -> Iterator[bytes]:
    length = 0
    try:
        for chunk in response.iter_raw():
            yield chunk
            length += len(chunk)
            if length >= HEAD_MAX:
                return
    except httpx.ReadTimeout:
        return
