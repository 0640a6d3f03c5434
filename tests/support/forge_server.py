"""A small forge on loopback that answers as Gitea's API documents, for the tests of what talks to one."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "canary-f0rge-t0ken"
ME, STRANGER = {"id": 3, "login": "warmci"}, {"id": 9, "login": "mallory"}
PULL_HEAD = "ab" * 20


@dataclass
class FakeForge:
    url: str = ""
    statuses: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Commit, context, state, description; in the order of arrival."""
    links: set[str] = field(default_factory=set)
    comments: list[dict[str, Any]] = field(default_factory=list)
    failing: list[int] = field(default_factory=list)
    """Statuses to fail the next requests with."""
    drips: bool = False
    paged: bool = True
    requests: list[str] = field(default_factory=list)

    def answer(  # noqa: PLR0911  (one for each kind of request)
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, Any]:
        repository = "/api/v1/repos/coop-cloud/miniflux"
        if self.failing:
            return self.failing.pop(0), {"message": f"refused, you sent {TOKEN}"}
        if path == "/api/v1/user":
            return 200, ME
        if path == f"{repository}/pulls/7":
            return 200, {"number": 7, "head": {"sha": PULL_HEAD}}
        if method == "POST" and (named := re.fullmatch(rf"{repository}/statuses/([0-9a-f]{{40}})", path)):
            self.statuses.append((named[1], body["context"], body["state"], body["description"]))
            self.links.add(body["target_url"])
            return 201, {"id": 1, **body}
        if path == f"{repository}/issues/7/comments":
            return self._comments(method, query, body)
        if method == "PATCH" and (named := re.fullmatch(rf"{repository}/issues/comments/(\d+)", path)):
            for comment in self.comments:
                if comment["id"] == int(named[1]):
                    comment["body"] = body["body"]
                    return 200, comment
        return 404, {"message": "not found"}

    def _comments(self, method: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        if method == "POST":
            self.add(body["body"])
            return 201, self.comments[-1]
        if not self.paged:
            return 200, self.comments
        limit, page = min(int(query["limit"]), 30), int(query["page"])
        return 200, self.comments[(page - 1) * limit : page * limit]

    def add(self, body: str, user: dict[str, Any] = ME) -> None:
        self.comments.append({"id": len(self.comments) + 1, "user": user, "body": body})


@contextmanager
def serving(forge: FakeForge) -> Iterator[FakeForge]:
    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            path, _, text = self.path.partition("?")
            forge.requests.append(f"{self.command} {path}")
            query = dict(part.split("=") for part in text.split("&") if part)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            authorised = self.headers.get("Authorization") == f"token {TOKEN}"
            code, answer = forge.answer(self.command, path, query, body) if authorised else (401, {"message": "who?"})
            raw = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            if not forge.drips:
                self.wfile.write(raw)
                return
            for byte in raw:  # until the client goes away
                self.wfile.write(bytes([byte]))
                time.sleep(0.5)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815  (names of the standard library)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """The client went away: what a test with a bounded time does."""

    server = Quiet(("127.0.0.1", 0), Handler)
    forge.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
