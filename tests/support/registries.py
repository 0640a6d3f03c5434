"""Registries on loopback of the engine's network namespace: Debian's docker-registry, and faulty ones."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.bench import Bench

USER, PASSWORD = "operator", "canary-r3gistry-passw0rd"
_START_S = 15.0
SWARM_ADDRESS = "10.99.0.1"
"""Of a private engine: unlike loopback, an engine asks a registry there for a certificate that it trusts."""


@dataclass(frozen=True)
class Registry:
    address: str

    def has(self, bench: Bench, name: str, image: str = "warmci-demo/busybox:1.35", *, config: Path) -> str:
        """Push an image of the engine there, and make the engine forget that name; returns it."""
        reference = f"{self.address}/{name}"
        docker = ["docker", "--config", str(config), "-H", bench.settings.docker_host]
        for argv in (["tag", image, reference], ["push", "-q", reference], ["rmi", reference]):
            subprocess.run([*docker, *argv], check=True, capture_output=True)
        return reference

    def digest(self, name: str, tag: str) -> str:
        """As the registry has it."""
        kinds = ("docker.distribution.manifest.v2", "oci.image.manifest.v1", "oci.image.index.v1")
        accept = {"Accept": ", ".join(f"application/vnd.{kind}+json" for kind in kinds)}
        answer = httpx.head(f"http://{self.address}/v2/{name}/manifests/{tag}", headers=accept, trust_env=False)
        return str(answer.raise_for_status().headers["Docker-Content-Digest"])


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def real_registry(root: Path, *, host: str = "127.0.0.1", login: bool = False, tls: bool = False) -> Iterator[Registry]:
    """docker-registry with its data below root; with login by USER and PASSWORD; with TLS of a CA nobody knows."""
    address = f"{host}:{free_port(host)}"
    root.mkdir(parents=True)
    lines = [
        "version: 0.1",
        "log: {level: error}",
        f"storage: {{filesystem: {{rootdirectory: {root}/data}}}}",
        f"http: {{addr: '{address}'" + (f", tls: {{certificate: {root}/c, key: {root}/k}}}}" if tls else "}"),
    ]
    if login:
        made = subprocess.run(["htpasswd", "-Bni", USER], input=PASSWORD, text=True, capture_output=True, check=True)
        (root / "users").write_text(made.stdout, encoding="utf-8")
        lines.append(f"auth: {{htpasswd: {{realm: tests, path: {root}/users}}}}")
    if tls:
        argv = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ]
        argv += [
            "-keyout",
            f"{root}/k",
            "-out",
            f"{root}/c",
            "-subj",
            "/CN=tests",
            "-addext",
            f"subjectAltName=IP:{host}",
        ]
        subprocess.run(argv, check=True, capture_output=True)
    (root / "config.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (root / "log").open("wb") as log:
        server = subprocess.Popen(["docker-registry", "serve", str(root / "config.yml")], stdout=log, stderr=log)
    try:
        _await(address, server, root / "log")
        yield Registry(address)
    finally:
        server.kill()
        server.wait()


def _await(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    host, _, port = address.rpartition(":")
    end = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            said = log.read_text(encoding="utf-8", errors="replace")
            assert server.poll() is None, said
            assert time.monotonic() < end, f"the registry does not listen: {said}"
            threading.Event().wait(0.05)
        else:
            return


@contextmanager
def silent_registry() -> Iterator[Registry]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield Registry(f"127.0.0.1:{listener.getsockname()[1]}")


class _Plain(BaseHTTPRequestHandler):
    """Without TLS, and says so in HTTP to whoever begins with it, as real ones do: current engines then go on so."""

    default_request_version = "HTTP/1.0"


@contextmanager
def hanging_registry() -> Iterator[Registry]:
    """Says that it is one, and then nothing of what it has."""
    ended = threading.Event()

    class Handler(_Plain):
        def do_GET(self) -> None:
            if self.path != "/v2/":
                ended.wait(600)
                return
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_HEAD = do_GET  # noqa: N815  (a name of the standard library)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Registry(f"127.0.0.1:{server.server_address[1]}")
        finally:
            ended.set()
            server.shutdown()


@contextmanager
def faulty_registry(status: int, body: str = "", *, content_type: str = "application/json") -> Iterator[Registry]:
    """Answers each request with one status: a registry over its limit, or broken."""
    text = body.encode()

    class Handler(_Plain):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(text)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Registry(f"127.0.0.1:{server.server_address[1]}")
        finally:
            server.shutdown()
