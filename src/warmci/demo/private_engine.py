"""A private engine in a network namespace of its own: the host's Docker and other private engines stay untouched.

Containers reach the outside, and names that nobody knows are answered, through slirp4netns: without an answering
resolver each unknown name would cost an app five seconds (measured: a service's name is unknown until it is healthy).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base import fs, process
from warmci.base.errors import InfraError
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ADDRESS = "10.99.0.1"
"""Swarm wants an address that is not loopback; the namespace makes it ours alone."""
_RESOLVER = "10.0.2.3"  # slirp4netns(1): its built-in DNS
_POOL = "10.214.0.0/16"
_START_S = 60.0
_STOP_S = 60.0
_POLL_S = 0.1
_TOOLS = ("dockerd", "containerd", "slirp4netns", "ip", "nsenter", "iptables")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LOG_LINES = 3


@dataclass(frozen=True)
class PrivateEngine:
    docker_host: str
    netns: Path


@dataclass(frozen=True)
class _Places:
    """Where everything of one private engine is; the run directory is short, as socket paths have to be."""

    root: Path

    @property
    def name(self) -> str:
        return f"warmci-{hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:8]}"

    @property
    def run(self) -> Path:
        return Path("/run") / self.name

    @property
    def netns(self) -> Path:
        return Path("/run/netns") / self.name

    @property
    def socket(self) -> Path:
        return self.run / "docker.sock"

    @property
    def engine(self) -> PrivateEngine:
        return PrivateEngine(f"unix://{self.socket}", self.netns)


def running(root: Path) -> PrivateEngine | None:
    """The engine of this root, if it answers."""
    places = _Places(root)
    if not _listens(places.socket):
        return None
    try:
        with closing(Engine(places.engine.docker_host, timeout_s=10)) as engine:
            engine.ping()
    except InfraError:
        return None  # it is just going
    return places.engine


def _listens(path: Path) -> bool:
    """Whether somebody accepts connections there; the SDK would leave a socket open when nobody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def start(root: Path, report: Callable[[str], None]) -> PrivateEngine:
    """Start it, as a swarm of one node; what it held before a stop comes back. One that runs is returned as it is.

    Raises InfraError, with the end of the daemon's log, when it does not answer within a minute.
    """
    places = _Places(root)
    path = f"{os.environ.get('PATH', '')}:{_PATH}"
    if missing := [tool for tool in _TOOLS if shutil.which(tool, path=path) is None]:
        hint = "apt-get install docker.io iptables iproute2 slirp4netns"
        raise InfraError(f"a private engine needs {', '.join(missing)}", hint=hint)
    with _locked(root):
        if found := running(root):
            return found
        began = time.monotonic()
        _clear(places)
        places.run.mkdir(mode=0o700)
        try:
            _make_network(places)
            _start_daemons(places, path)
            with closing(_answering(places)) as engine:
                if not engine.is_swarm_manager():
                    engine.init_swarm(_ADDRESS, _POOL)
                engine.await_leader(_START_S)
                version = engine.version()
        except BaseException:
            _clear(places)
            raise
        report(f"private engine {version} started in {time.monotonic() - began:.1f} s")
    return places.engine


def stop(root: Path) -> None:
    """End it: no process, mount or namespace of it is left; its data stays for the next start."""
    if root.is_dir():
        with _locked(root):
            _clear(_Places(root))


def destroy(root: Path) -> None:
    """End it and delete everything that it held."""
    stop(root)
    if root.is_dir():
        process.run(["rm", "-rf", "--one-file-system", "--", str(root)], timeout_s=300)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _ip(*arguments: str, check: bool = True) -> None:
    process.run(["ip", *arguments], timeout_s=10, check=check)


def _make_network(places: _Places) -> None:
    _ip("netns", "add", places.name)
    inside = ("-netns", places.name)
    _ip(*inside, "link", "set", "lo", "up")
    # Both ends inside: an address for swarm that leads nowhere else.
    _ip(*inside, "link", "add", "swarm0", "type", "veth", "peer", "name", "swarm1")
    _ip(*inside, "address", "add", f"{_ADDRESS}/24", "dev", "swarm0")
    _ip(*inside, "link", "set", "swarm0", "up")
    _ip(*inside, "link", "set", "swarm1", "up")


def _start_daemons(places: _Places, path: str) -> None:
    root, run = places.root, places.run
    config = run / "containerd.toml"
    config.write_text(
        f'version = 2\nroot = "{root}/containerd"\nstate = "{run}/containerd"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{run}/containerd.sock"\n',
        encoding="utf-8",
    )
    slirp = ["slirp4netns", "--netns-type=path", "--configure", "--mtu=65520", "--disable-host-loopback"]
    # Not its --enable-sandbox: that unmounts /run/netns for everybody (a shared mount; seen with 1.2.0).
    slirp += [f"--api-socket={run}/slirp.sock", str(places.netns), "tap0"]
    inside = ["nsenter", f"--net={places.netns}"]
    dockerd = [*inside, "dockerd", f"--host=unix://{places.socket}", f"--containerd={run}/containerd.sock"]
    dockerd += [f"--data-root={root}/data", f"--exec-root={run}/exec", f"--pidfile={run}/dockerd.pid"]
    dockerd += ["--bridge=none", f"--dns={_RESOLVER}"]
    for argv in (slirp, [*inside, "containerd", "--config", str(config)], dockerd):
        name = next(word for word in argv if word in {"slirp4netns", "containerd", "dockerd"})
        process.start_daemon(argv, env={"PATH": path}, log_file=root / f"{name}.log")


def _answering(places: _Places) -> Engine:
    end = time.monotonic() + _START_S
    while True:
        if _listens(places.socket):
            with suppress(InfraError):
                return Engine(places.engine.docker_host)
        if time.monotonic() > end:
            log = places.root / "dockerd.log"
            text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
            said = " | ".join(text.strip().splitlines()[-_LOG_LINES:]) or "nothing"
            raise InfraError(f"the private engine does not answer; its log ends: {said}", hint=f"see {log}")
        time.sleep(_POLL_S)


# --- the end


def _clear(places: _Places) -> None:
    """Whatever is left of it, after a stop, a kill or a reboot."""
    daemons = ("dockerd", "containerd", "slirp4netns")
    for daemon in daemons:
        _end(_processes(places, daemon), signal.SIGTERM, _STOP_S)
    shims = _processes(places, "containerd-shim")
    _end([*(child for shim in shims for child in _children(shim)), *shims], signal.SIGKILL, _STOP_S)
    for where in (places.run, places.root):
        for mount in fs.mounts_below(where):
            process.run(["umount", "--", str(mount.target)], timeout_s=30, check=False)
    if places.netns.exists():
        _ip("netns", "delete", places.name, check=False)
    try:
        fs.remove_tree(places.run)
    except OSError as error:
        raise InfraError(f"the private engine's {places.run} cannot be removed: {error}") from error


def _processes(places: _Places, program: str) -> list[int]:
    """Processes of this engine, told by our paths in their command line; others' daemons are never touched."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                ours = any(f"{places.run}/" in word or str(places.netns) in word for word in words[1:])
                if ours and Path(words[0]).name.startswith(program):
                    found.append(int(entry.name))
    return found


def _children(pid: int) -> Sequence[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def _end(pids: Sequence[int], number: signal.Signals, deadline_s: float) -> None:
    """Signal and wait; what has not ended by the deadline is killed."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    end = time.monotonic() + deadline_s
    left = [pid for pid in pids if _lives(pid)]
    while left and time.monotonic() < end:
        time.sleep(_POLL_S)
        left = [pid for pid in left if _lives(pid)]
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # ours, if this process started it
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
