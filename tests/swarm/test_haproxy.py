"""A real HAProxy before servers of the test's own: switched, kept apart from the app's answers, gone with its owner."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from warmci.base import authority, http
from warmci.base.errors import InfraError
from warmci.base.settings import Settings
from warmci.swarm.haproxy import NO_TASK, Haproxy, Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        port = self.connection.getsockname()[1]
        text = f"{port} {self.headers['X-Forwarded-Proto']} {self.headers['X-Forwarded-For']}"
        self.send_response(200)
        self.send_header(NO_TASK, "a task says so itself")
        for number in range(200 if self.path == "/cookies" else 0):
            self.send_header("Set-Cookie", f"name-{number}={'x' * 300}")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def serve(context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Haproxy]:
    made = Haproxy(free_port(), tmp_path / ("long" * 30))
    made.start()
    yield made
    made.stop()


def get(proxy: Haproxy, path: str = "/") -> httpx.Response:
    with httpx.Client(trust_env=False) as client:
        headers = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "gopher"}
        return client.get(f"http://127.0.0.1:{proxy.port}{path}", headers=headers)


def test_without_a_task_its_answer_is_told_from_the_apps(proxy: Haproxy) -> None:
    answer = get(proxy)
    assert (answer.status_code, answer.headers[NO_TASK]) == (503, "no task answers")
    proxy.lead_to([Target("127.0.0.1", free_port(), "http")])
    assert get(proxy).headers[NO_TASK] == "no task answers"


def test_it_leads_where_it_is_told(proxy: Haproxy) -> None:
    first, second = serve(), serve()
    proxy.lead_to([Target("127.0.0.1", first.server_port, "http")])
    answer = get(proxy)
    assert answer.text == f"{first.server_port} http 127.0.0.1"
    assert NO_TASK not in answer.headers
    both = [Target("127.0.0.1", server.server_port, "http") for server in (second, first)]
    proxy.lead_to(both)
    assert {get(proxy).text.split()[0] for _ in range(4)} == {str(first.server_port), str(second.server_port)}
    proxy.lead_to(both[:1])
    assert {get(proxy).text.split()[0] for _ in range(4)} == {str(second.server_port)}
    proxy.lead_to([])
    assert get(proxy).status_code == 503


def test_an_answer_of_many_headers(proxy: Haproxy) -> None:
    """60 KiB in 200 of them, which Traefik lets through."""
    proxy.lead_to([Target("127.0.0.1", serve().server_port, "http")])
    answer = get(proxy, "/cookies")
    assert (answer.status_code, len(answer.headers.get_list("set-cookie"))) == (200, 200)


def test_a_task_that_speaks_https(proxy: Haproxy, tmp_path: Path) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "1"]
    files = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run([*make, "-keyout", files[0], "-out", files[1]], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    secure, plain = serve(context), serve()
    proxy.lead_to([Target("127.0.0.1", secure.server_port, "https")])
    assert get(proxy).text.startswith(str(secure.server_port))
    proxy.lead_to([Target("127.0.0.1", plain.server_port, "http")])
    assert get(proxy).text.startswith(str(plain.server_port))


def test_it_speaks_https_by_the_hosts_own_authority(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", base_domain="ci.example.org")
    settings.state_dir.mkdir(mode=0o700)
    proxy, task = Haproxy(free_port(), tmp_path / "secure", authority.served(settings)), serve()
    proxy.start()
    try:
        proxy.lead_to([Target("127.0.0.1", task.server_port, "http")])
        ca = authority.authority(settings)
        base, address = settings.base_domain, "127.0.0.1"
        with http.client(base_domain=base, address=address, base_url="", timeout_s=10, ca=ca) as client:
            answer = client.get(f"https://app.ci.example.org:{proxy.port}/")
        assert answer.text == f"{task.server_port} https 127.0.0.1"
        assert (tmp_path / "secure" / "served.pem").stat().st_mode & 0o777 == 0o600
    finally:
        proxy.stop()


def test_a_port_in_use_is_the_hosts_fault(proxy: Haproxy, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match=f"haproxy does not listen on port {proxy.port}"):
        Haproxy(proxy.port, tmp_path / "second").start()


def test_one_that_ended_is_told(proxy: Haproxy) -> None:
    assert proxy.problem() == ""
    assert proxy._process is not None
    proxy._process.kill()
    proxy._process.wait()
    assert "ended (-9)" in proxy.problem()
    with pytest.raises(InfraError, match="cannot be told"):
        proxy.lead_to([Target("127.0.0.1", 1, "http")])


def test_it_dies_with_its_owner(tmp_path: Path) -> None:
    port = free_port()
    code = (
        "import sys, pathlib, time; from warmci.swarm.haproxy import Haproxy;"
        f"Haproxy({port}, pathlib.Path(sys.argv[1])).start(); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "h")], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        owner.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            break
        assert time.monotonic() < end, "haproxy outlives its owner"
