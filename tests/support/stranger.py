"""A web server whose pages do what a stranger's may, over http or https; it notes which paths were asked."""

from __future__ import annotations

import random
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_REACHING = """<h1>reaching out</h1><script>
for (const url of {urls}) fetch(url, {{mode: "no-cors"}}).then(() => fetch("/reached?" + url), () => fetch("/refused"));
const servers = [{{urls: "stun:127.0.0.1:{stun}"}},
  {{urls: "turn:127.0.0.1:{turn}?transport=tcp", username: "x", credential: "x"}}];
const to = new RTCPeerConnection({{iceServers: servers}});
to.createDataChannel("x"); to.createOffer().then(offer => to.setLocalDescription(offer));
</script>"""
_NOISE = """<canvas id="c" width="1024" height="720"></canvas><script>
const to = document.getElementById("c").getContext("2d"), all = to.createImageData(1024, 720);
for (let at = 0; at < all.data.length; at++) all.data[at] = at % 4 == 3 ? 255 : Math.random() * 256;
to.putImageData(all, 0, 0);</script>"""
PAGES = {
    "/": "<h1>Hello</h1>",
    "/busy": "<h1>busy</h1><script>setTimeout(() => { for (;;); }, 50)</script>",
    "/eater": "<script>const all = []; for (;;) all.push(new Uint8Array(1 << 26).fill(1));</script>",
    "/noise": _NOISE,
}


class Stranger:
    def __init__(self, port: int, asked: list[str], pages: dict[str, str]) -> None:
        self.port, self.asked, self._pages = port, asked, pages

    def reach_out(self, urls: Sequence[str], stun: int, turn: int) -> str:
        """Path of a page that asks for all of these, and two ports of loopback by UDP and by TCP."""
        path = f"/reaching-{random.randrange(10**6)}"
        self._pages[path] = _REACHING.format(urls=list(urls), stun=stun, turn=turn)
        return path


@contextmanager
def stranger(pem: Path | None = None) -> Iterator[Stranger]:
    """pem: key and certificate, for https."""
    asked: list[str] = []
    pages = dict(PAGES)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = pages.get(self.path, "").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that takes no certificate of ours."""

    server = Server(("127.0.0.1", 0), Handler)
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Stranger(server.server_port, asked, pages)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
