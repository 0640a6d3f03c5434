"""A server that answers as a stranger's app may: what it sends is decided by the path."""

from __future__ import annotations

import socket
import threading
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\n"
_PACK = zlib.compressobj(9, zlib.DEFLATED, 31)
BOMB = _PACK.compress(bytes(200 * 2**20)) + _PACK.flush()


_CLOSE = b"Connection: close\r\n"
_WHOLE = {
    "/loop": b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n" + _CLOSE + b"\r\n",
    "/bomb": OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB,
    "/bad-gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n" + _CLOSE + b"\r\nnot gzip\n",
    "/short": OK + b"Content-Length: 100\r\n\r\nshort",
    "/error": b"HTTP/1.1 500 Sorry\r\nContent-Length: 0\r\n" + _CLOSE + b"\r\n",
    "/": OK + b"Content-Length: 2\r\n" + _CLOSE + b"\r\nok",
}
_ENDLESS = {
    "/endless": (OK + b"\r\n", b"x" * 65536, 0.0),
    "/headers": (OK, b"X-Pad: " + b"y" * 4000 + b"\r\n", 0.0),
    "/slow-headers": (OK, b"X: y\r\n", 0.1),
    "/slow-body": (OK + b"Content-Length: 100000\r\n\r\n", b"x", 0.1),
    "/continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.0),
    "/events": (OK + b"Content-Type: text/event-stream\r\n\r\n", b"data: tick\n\n", 0.1),
    "/silent": (b"", b"", 0.1),
}


def answers(path: str, ended: threading.Event) -> Iterator[bytes]:
    """Pieces of the answer; those that have no end stop when the client has gone or the server is closed."""
    if path in _WHOLE:
        yield _WHOLE[path]
        return
    begin, piece, gap_s = _ENDLESS[path]
    yield begin
    while not ended.wait(gap_s):
        yield piece


@contextmanager
def running() -> Iterator[int]:
    """The port on loopback; all connections are closed at the end."""
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            path = urlsplit(connection.recv(65536).split(b" ")[1].decode()).path  # of a proxy's client: a whole URL
            for piece in answers(path, ended):
                connection.sendall(piece)

    def accept() -> None:
        with suppress(OSError):  # closed under it at the end
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.2", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
