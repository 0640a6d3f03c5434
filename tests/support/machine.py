"""A booted systemd in a container of systemd-nspawn, on an overlay that is thrown away."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import rootfs
from support.rootfs import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

STATE = "/var/lib/ci-warm"
UNITS = rootfs.ROOT / "docs" / "systemd"
ETC = "/etc/systemd/system"
_ENV = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
_START_S = 180.0
_STOP_S = 30.0
_CALL_S = 300.0


@dataclass
class Machine:
    """Where it lives: root is its file system, upper what differs from the image, state its STATE."""

    dir: Path
    image: Path
    state_inside: str = STATE
    extra: Sequence[str] = ()
    """More arguments of systemd-nspawn."""
    _leader: int = 0
    _nspawn: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _groups: list[Path] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.dir / "root"

    @property
    def upper(self) -> Path:
        return self.dir / "upper"

    @property
    def state(self) -> Path:
        return self.dir / "state"

    def mount(self) -> None:
        for part in ("root", "upper", "work", "state"):
            (self.dir / part).mkdir()
            (self.dir / part).chmod(0o755)  # whatever the umask: the machine has users other than root
        self.state.chmod(0o700)
        options = f"lowerdir={self.image},upperdir={self.upper},workdir={self.dir / 'work'}"
        run(["mount", "-t", "overlay", "-o", options, "overlay", str(self.root)])

    def boot(self) -> None:
        name = f"warmci-{secrets.token_hex(4)}"
        self._groups = _control_groups(name)
        # Of its own, or two machines would share their units' control groups. It dies with the tests.
        enter = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'
        argv = ["setpriv", "--pdeathsig", "TERM", "--", "sh", "-c", enter, "sh", *map(str, self._groups), "--"]
        argv += ["systemd-nspawn", "--quiet", f"--machine={name}", f"--directory={self.root}", "--register=no"]
        argv += ["--keep-unit", f"--bind={self.state}:{self.state_inside}", *self.extra, "--boot"]
        with (self.dir / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, umask=0o022)
        self.wait("the container's first process", lambda: self._find_leader(self._nspawn), _START_S)
        up = {"running", "degraded"}
        self.wait("a running system", lambda: self.systemctl("is-system-running").strip() in up, _START_S)

    def _find_leader(self, nspawn: subprocess.Popen[bytes] | None) -> bool:
        assert nspawn is not None
        assert nspawn.poll() is None, (self.dir / "console").read_text(encoding="utf-8", errors="replace")[-2000:]
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text(encoding="ascii").split()
        # Of the helpers that nspawn forks while it starts, only the container's own init is 1 in a PID namespace.
        first = [child for child in children if _pid_inside(child) == "1"]
        self._leader = int(first[0]) if first else 0
        return bool(first)

    def stop(self) -> None:
        """Power off; whatever does not go is killed, and nothing stays mounted."""
        if self._nspawn is not None:
            self._nspawn.terminate()
            try:
                self._nspawn.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                if self._leader:
                    os.kill(self._leader, 9)
                self._nspawn.kill()
                self._nspawn.wait()
        if self.root.is_mount():
            run(["umount", str(self.root)])
        for group in self._groups:
            for below in sorted(group.rglob("*"), reverse=True):
                if below.is_dir():
                    with suppress(OSError):
                        below.rmdir()
            with suppress(OSError):
                group.rmdir()

    # --- inside

    def call(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", f"--target={self._leader}", "--all", "--", *_ENV, *argv]
        return subprocess.run(inside, input=stdin, capture_output=True, text=True, timeout=_CALL_S, check=False)

    def run(self, *argv: str, stdin: str = "") -> str:
        done = self.call(*argv, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(argv)} ended {done.returncode}: {done.stderr}{done.stdout}"
        return done.stdout

    def systemctl(self, *argv: str) -> str:
        """What it says; whether a unit could be started is asked by show()."""
        return self.call("systemctl", *argv).stdout

    def show(self, unit: str, *names: str) -> list[str]:
        lines = self.run("systemctl", "show", "--property", ",".join(names), unit).splitlines()
        values = dict(line.split("=", 1) for line in lines)
        return [values[name] for name in names]

    def journal(self, unit: str) -> list[dict[str, str]]:
        text = self.run("journalctl", "--unit", unit, "--output", "json", "--no-pager")
        return [json.loads(line) for line in text.splitlines()]

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file in the machine, written from outside."""
        target = self.root / path.lstrip("/")
        missing = [parent for parent in target.parents if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir()
            parent.chmod(0o755)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)

    def wait(self, what: str, done: Callable[[], bool], deadline_s: float = 60.0) -> None:
        end = time.monotonic() + deadline_s
        while not done():
            assert time.monotonic() < end, f"no {what} within {deadline_s:.0f} s"
            time.sleep(0.05)


def _pid_inside(pid: str) -> str:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""  # it has ended
    return next(line.split()[-1] for line in lines if line.startswith("NSpid:"))


def _control_groups(name: str) -> list[Path]:
    """A new group in each hierarchy that systemd uses: v2, v1, or both."""
    top = Path("/sys/fs/cgroup")
    known = [path for path in (top / "systemd", top / "unified") if path.is_dir()] or [top]
    made = [path / name for path in known]
    for path in made:
        path.mkdir()
    return made


# --- one for the session


@pytest.fixture(scope="session")
def wheel() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="warmci-wheel-") as directory:
        yield rootfs.build_wheel(Path(directory))


@contextmanager
def furnished(directory: Path, wheel: Path, files: Mapping[str, str], **options: Any) -> Iterator[Machine]:
    """A machine that runs, with the wheel and these unit files (as docs/systemd has them) installed."""
    machine = Machine(directory, rootfs.provide(), **options)
    try:
        machine.mount()
        rootfs.install_wheel(machine.root, wheel)
        for name, text in files.items():
            if name == "alert":
                machine.write("/usr/local/lib/warmci/alert", text, 0o755)
            else:
                machine.write(f"{ETC}/{name}", text)
        machine.boot()
        yield machine
    finally:
        machine.stop()
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def booted(wheel: Path) -> Iterator[Machine]:
    """Its network is its own loopback, whatever namespace the tests are in."""
    directory = Path(tempfile.mkdtemp(prefix="warmci-systemd-"))
    files = {path.name: path.read_text(encoding="utf-8") for path in UNITS.iterdir()}
    with furnished(directory, wheel, files, extra=("--private-network",)) as machine:
        yield machine


@pytest.fixture
def machine(booted: Machine) -> Machine:
    """As docs/nixos.md installs it: no settings yet, no credentials in their directory, nothing has run."""
    names = ("warmci-keycloak.service", "warmci-canonicals.service", "warmci-sweep.timer", "warmci-sweep.service")
    booted.systemctl("stop", *names)
    booted.run("sh", "-c", f"rm -rf {ETC}/warmci-*.d /etc/warmci /var/lib/systemd/timers/stamp-warmci-* /tmp/warmci-*")
    booted.run("sh", "-c", f"find {STATE} -mindepth 1 -delete; chmod 0700 {STATE}")
    booted.run("install", "-d", "-m", "0700", "/etc/warmci/credentials")
    booted.run("systemctl", "daemon-reload")
    booted.systemctl("reset-failed")
    booted.run("journalctl", "--rotate", "--quiet")
    booted.run("journalctl", "--vacuum-time=1us", "--quiet")
    return booted
