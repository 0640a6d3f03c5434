"""One HAProxy before one app: a port of ours that leads to the addresses of its tasks, switched over its runtime API.

HAProxy moves the bytes; it is told its servers by `set server` (docs.haproxy.org, Management Guide, 9.3) and dies with
us. It runs in the network namespace that we are in.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmci.base import process
from warmci.base.errors import InfraError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from warmci.base.authority import Served

TOOL = "haproxy"
NO_TASK = "x-warmci-direct"
"""Header of what HAProxy itself answers; taken off whatever a task answers."""
NOBODY = "no task answers"
_OWN_ERRORS = {502: "the task sent no answer that is HTTP", 503: NOBODY, 504: "the task is too slow"}
_SLOTS = 16
_HEADERS_BYTES, _HEADERS = 131_072, 1000
"""Of one request or answer; Traefik takes more, HAProxy by itself 16 KiB and 101."""
_SCHEMES = {"http": "", "https": " ssl verify none sni req.hdr(host),field(1,:)", "h2c": " proto h2"}
_logger = logging.getLogger(__name__)
_START_S = 15.0
_ANSWER_S = 10.0
_SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"


def require() -> str:
    """The program's path. Raises InfraError where it is not installed."""
    found = shutil.which(TOOL, path=_path())
    if found is None:
        raise InfraError("haproxy is not installed: the ingress `direct` needs it", hint="apt-get install haproxy")
    return found


def _path() -> str:
    return os.environ.get("PATH", "") + _SBIN


@dataclass(frozen=True)
class Target:
    """Where a task answers."""

    address: str
    port: int
    scheme: str


@dataclass
class Haproxy:
    """Raises InfraError when it cannot be started or told anything."""

    port: int
    work_dir: Path
    certificate: Served | None = None
    _process: process.Process | None = None
    _now: list[Target] = field(default_factory=list)

    def start(self) -> None:
        """Listen on the port, without a server yet."""
        self.work_dir.mkdir(mode=0o700)
        config = self.work_dir / "haproxy.cfg"
        config.write_text(_config(self.port, self._tls()), encoding="ascii")
        # A path of ours may be longer than a socket's may be: it is bound by its directory's descriptor.
        self._home = os.open(self.work_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self._socket)
            listening.listen()
            os.set_inheritable(listening.fileno(), True)
            text = config.read_text(encoding="ascii").replace("@SOCKET@", f"fd@{listening.fileno()}")
            config.write_text(text, encoding="ascii")
            self._process = process.start(
                [require(), "-db", "-f", str(config)],
                pass_fds=[listening.fileno()],
                log_file=self.work_dir / "haproxy.log",
            )
        try:
            self._await_listening()
        except BaseException:
            self.stop()
            raise

    def _tls(self) -> str:
        """What its `bind` says of TLS."""
        if self.certificate is None:
            return ""
        path = self.work_dir / "served.pem"
        path.touch(mode=0o600)
        path.write_text(self.certificate.key.get_secret_value() + self.certificate.certificate, encoding="ascii")
        return f" ssl crt {path} alpn h2,http/1.1"

    @property
    def _socket(self) -> str:
        return f"/proc/self/fd/{self._home}/api"

    def _await_listening(self) -> None:
        """It answers its socket once it has bound its port, and else ends."""
        try:
            said = self._ask("show version", _START_S)
        except OSError as error:
            said = ""
            _logger.debug("haproxy: %s", error)
        if not said.strip():
            raise InfraError(f"haproxy does not listen on port {self.port}: {self._log()}", hint="warmci doctor")

    def _log(self) -> str:
        text = (self.work_dir / "haproxy.log").read_text(encoding="utf-8", errors="replace").strip()
        alerts = [line for line in text.splitlines() if "[ALERT]" in line] or text.splitlines()
        return alerts[0] if alerts else "no word in its log"

    def lead_to(self, targets: Sequence[Target]) -> None:
        """From now on new requests go to these, in turn; what is under way goes on."""
        wanted = list(targets)[:_SLOTS]
        if wanted == self._now:
            return
        commands = []
        for slot in range(1, _SLOTS + 1):
            target = wanted[slot - 1] if slot <= len(wanted) else None
            for scheme in _SCHEMES:
                name = f"{scheme}/task{slot}"
                if target is not None and target.scheme == scheme:
                    commands.append(f"set server {name} addr {target.address} port {target.port}")
                    commands.append(f"set server {name} state ready")
                elif slot <= len(self._now) and self._now[slot - 1].scheme == scheme:
                    commands.append(f"set server {name} state maint")
        self._tell(commands)
        self._now = wanted

    def _ask(self, command: str, timeout_s: float) -> str:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(timeout_s)
            asking.connect(self._socket)
            asking.sendall(f"{command}\n".encode("ascii"))
            said = b""
            while chunk := asking.recv(4096):
                said += chunk
        return said.decode(errors="replace")

    def _tell(self, commands: Sequence[str]) -> None:
        try:
            text = self._ask(";".join(commands), _ANSWER_S)
        except OSError as error:
            raise InfraError(f"haproxy on port {self.port} cannot be told its servers: {error}") from error
        wrong = [line for line in text.splitlines() if line.strip() and "changed" not in line and "no need" not in line]
        if wrong:
            raise InfraError(f"haproxy on port {self.port} does not take its servers: {wrong[0]}")

    def problem(self) -> str:
        """Why it does not serve any more; empty while it does, and once it was stopped by us."""
        code = self._process.poll() if self._process is not None else None
        return "" if code is None else f"haproxy on port {self.port} ended ({code}): {self._log()}"

    def stop(self) -> None:
        if self._process is not None:
            process.stop(self._process)
            self._process = None
            os.close(self._home)


def _config(port: int, tls: str) -> str:
    backends = "\n".join(
        f"backend {scheme}\n    http-response del-header {NO_TASK}\n"
        f"    server-template task 1-{_SLOTS} 127.0.0.1:1 disabled{words}\n"
        for scheme, words in _SCHEMES.items()
    )
    choices = "\n".join(f"    use_backend {scheme} if {{ nbsrv({scheme}) gt 0 }}" for scheme in ("https", "h2c"))
    errors = "\n".join(
        f'    http-error status {status} content-type text/plain string "{said}\\n" hdr {NO_TASK} "{said}"'
        for status, said in _OWN_ERRORS.items()
    )
    return f"""\
global
    stats socket @SOCKET@ level admin
    nbthread 1
    tune.bufsize {_HEADERS_BYTES}
    tune.http.maxhdr {_HEADERS}
    noreuseport
    maxconn 1000

defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
    timeout http-keep-alive 30s
    retries 1
{errors}

frontend app
    bind :{port}{tls}
    http-request set-header X-Forwarded-Proto {"https" if tls else "http"}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port {port}
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Real-Ip %[src]
{choices}
    default_backend http

{backends}"""
