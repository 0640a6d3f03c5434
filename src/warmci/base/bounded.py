"""HTTP answers of strangers, bounded: one deadline and one number of bytes for a whole request with its redirects."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator


TOO_LONG = "the answer is longer"
_PIECE = 16_384
"""Bytes that are read, and so unpacked, at once: gzip makes a thousandfold of them."""


class Bounds:
    """What is left of a request's seconds and bytes; each thread has its own request."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self.seconds, self.most_bytes = seconds, most_bytes
        self._of_thread = threading.local()

    def begin(self) -> None:
        self._of_thread.end = time.monotonic() + self.seconds
        self._of_thread.left = self.most_bytes

    def remaining(self, timeout: float | None, error: type[Exception]) -> float:
        """Seconds that one step may take, at most timeout. Raises `error` when the whole request has none left."""
        left = float(self._of_thread.end - time.monotonic())
        if left <= 0:
            raise error(f"no whole answer within {self.seconds:.0f} s")
        return left if timeout is None else min(left, timeout)

    def count(self, received: int) -> None:
        self._of_thread.left -= received
        if self._of_thread.left < 0:
            raise httpcore.ReadError(self.too_long)

    @property
    def too_long(self) -> str:
        return f"{TOO_LONG} than {self.most_bytes} bytes"


class Client(httpx.Client):
    """Headers that drip, bodies that never end and redirects all count against the same bounds."""

    def __init__(self, bounds: Bounds, **options: Any) -> None:
        super().__init__(**options)
        self._bounds = bounds

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        self._bounds.begin()
        return super().send(request, **options)


class Response(httpx.Response):
    """Its body unpacked counts as well: a few bytes of gzip hold gigabytes."""

    bounds: Bounds

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        length = 0
        for chunk in super().iter_bytes(chunk_size):
            length += len(chunk)
            if length > self.bounds.most_bytes:
                self.close()
                raise httpx.DecodingError(self.bounds.too_long, request=self.request)
            yield chunk


def response(answer: httpx.Response, bounds: Bounds) -> Response:
    made = Response(answer.status_code, headers=answer.headers, stream=answer.stream, extensions=answer.extensions)
    made.bounds = bounds
    return made


class Backend(httpcore.NetworkBackend):
    """Every read and write below HTTP, so that nothing above can wait longer or take in more."""

    def __init__(self, real: httpcore.NetworkBackend, bounds: Bounds) -> None:
        self._real, self._bounds = real, bounds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = self._bounds.remaining(timeout, httpcore.ConnectTimeout)
        return _Stream(self._real.connect_tcp(host, port, timeout, local_address, socket_options), self._bounds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, real: httpcore.NetworkStream, bounds: Bounds) -> None:
        self._real, self._bounds = real, bounds

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            data = self._real.read(min(max_bytes, _PIECE), self._bounds.remaining(timeout, httpcore.ReadTimeout))
        except httpcore.ReadTimeout:
            self._bounds.remaining(timeout, httpcore.ReadTimeout)  # says so where it was the whole request's time
            raise
        self._bounds.count(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._real.write(buffer, self._bounds.remaining(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._real.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = self._bounds.remaining(timeout, httpcore.ConnectTimeout)
        return _Stream(self._real.start_tls(ssl_context, server_hostname, timeout), self._bounds)

    def get_extra_info(self, info: str) -> Any:
        return self._real.get_extra_info(info)
