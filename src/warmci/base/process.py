"""The only place that runs processes."""

from __future__ import annotations

import os
import select
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TextIO, cast

from warmci.base.errors import InfraError
from warmci.base.stopping import require_wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Process = subprocess.Popen[str]
"""What start() returns; for those who keep one."""
_ENV_ALLOWED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "TERM")
_TAIL_LINES = 25
_PIECE = 65_536
_LOOK_S = 0.25
_DAEMON_UMASK = 0o022
"""An engine that inherits our 077 mounts secrets that an app's own user cannot read."""


@dataclass(frozen=True)
class Completed:
    returncode: int
    stdout: str
    stderr: str


class CommandError(InfraError):
    """A tool that we run failed; keeps the command, its code and the end of what it said."""

    def __init__(
        self, argv: Sequence[str], returncode: int, output: str, *, hint: str | None = None, why: str = ""
    ) -> None:
        """why: the telling words of the output, where they are not its last line."""
        tail = "\n".join(output.strip().splitlines()[-_TAIL_LINES:])
        last = why or (tail.splitlines()[-1] if tail else "no output")
        super().__init__(f"{argv[0]} failed ({returncode}): {last}", hint=hint)
        self.argv = tuple(argv)
        self.returncode = returncode
        self.tail = tail


class OutputError(CommandError):
    """A tool said more than its caller takes in."""


def base_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a tool may see of our environment: an allow-list. A recipe's variables are never passed here."""
    env = {name: os.environ[name] for name in _ENV_ALLOWED if name in os.environ}
    return {**env, **(extra or {})}


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    pass_fds: Sequence[int] = (),
    bare: bool = False,
) -> Completed:
    """Run a tool to its end and return what it said.

    The child dies with us (PR_SET_PDEATHSIG, by setpriv), so a killed run leaves no writer behind.
    Raises CommandError when it fails or does not end within timeout_s seconds (interrupt, then kill).
    """
    with start(argv, cwd=cwd, env=env, pass_fds=pass_fds, bare=bare) as process:
        return finish(process, argv, timeout_s=timeout_s, stdin=stdin, check=check)


@dataclass(frozen=True)
class Limits:
    """What a tool may use up; prlimit(1)."""

    cpu_s: int
    memory: int
    """Bytes of data, as RLIMIT_DATA counts them: reserved addresses are free."""
    output: int
    """Bytes of each file that it writes."""


def run_limited(
    argv: Sequence[str], *, limits: Limits, timeout_s: float, cwd: Path, env: Mapping[str, str], into: Path
) -> int:
    """Run a tool on a stranger's input: its environment is env and nothing of ours; what it says goes to files.

    They are into/stdout and into/stderr. Returns the exit code, negative for a signal.
    Raises CommandError when it does not end within timeout_s seconds, StoppedError when this thread is told to stop.
    """
    bounds = [f"--cpu={limits.cpu_s}", f"--data={limits.memory}", f"--fsize={limits.output}", "--core=0"]
    command = ["prlimit", *bounds, *argv]
    command[0] = shutil.which(command[0]) or command[0]
    with start(command, cwd=cwd, env=env, bare=True, into=into) as process:
        try:
            code = wait(process, timeout_s=timeout_s)
        except BaseException:
            stop(process)
            raise
        if code is None:
            stop(process)
            raise CommandError(argv, -1, f"no end after {timeout_s:.0f} s: {shlex.join(argv)[:200]}")
        return code


def own_program(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """(command, environment) of one of WarmCI's own programs in a process of its own.

    Where packages reach us by a wrapper (Nix), the bare interpreter would not find them.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return [sys.executable, "-P", "-m", module, *arguments], {"PYTHONPATH": path}


def finish(
    process: subprocess.Popen[str],
    argv: Sequence[str],
    *,
    timeout_s: float,
    stdin: str | None = None,
    check: bool = True,
    grace_s: float = 5.0,
    most_bytes: int = 0,
) -> Completed:
    """Wait for a started tool and return what it said; as `run`. One that does not end gets grace_s to clean up.

    most_bytes, of a tool without input: raises OutputError when it says more on either of its outputs.
    """
    try:
        if most_bytes:
            stdout, stderr = _gathered(process, argv, timeout_s, most_bytes)
        else:
            stdout, stderr = process.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        stop(process, grace_s=grace_s)
        raise CommandError(argv, -1, f"no end after {timeout_s:.0f} s: {shlex.join(argv)[:200]}") from None
    except BaseException:
        stop(process)
        raise
    if check and process.returncode != 0:
        raise CommandError(argv, process.returncode, stderr or stdout)
    return Completed(process.returncode, stdout, stderr)


def _gathered(process: subprocess.Popen[str], argv: Sequence[str], timeout_s: float, most: int) -> tuple[str, str]:
    """As communicate, but for a tool that talks without an end."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("started with a log file")
    process.stdin.close()
    end, said = time.monotonic() + timeout_s, {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as both:
        for pipe in said:
            both.register(pipe, selectors.EVENT_READ)
        while both.get_map():
            left = end - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(argv, timeout_s)
            for key, _ in both.select(left):
                pipe = cast("TextIO", key.fileobj)
                if not (piece := os.read(key.fd, _PIECE)):
                    both.unregister(pipe)
                said[pipe] += piece
                if len(said[pipe]) > most:
                    raise OutputError(argv, -1, f"more than {most} bytes of output")
    process.wait(max(0.0, end - time.monotonic()))
    stdout, stderr = (bytes(text).decode(errors="replace") for text in said.values())
    return stdout, stderr


def start(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    log_file: Path | None = None,
    daemon: bool = False,
    bare: bool = False,
    into: Path | None = None,
    talks: bool = False,
) -> subprocess.Popen[str]:
    """Start a tool that dies with us; its output goes to log_file, if there is one. For daemons see start_daemon.

    Bare: env is its whole environment, and argv[0] a path. With a directory `into`, its output goes to files there.
    Talks: its standard error is ours, and signals that a terminal sends reach us alone.
    """
    prefix = [] if daemon else ["setpriv", "--pdeathsig", "KILL", "--"]
    command = [*prefix, *argv]
    with ExitStack() as files:
        log = files.enter_context(log_file.open("ab")) if log_file else None
        stdout = files.enter_context((into / "stdout").open("wb")) if into else log
        stderr = files.enter_context((into / "stderr").open("wb")) if into else log
        try:
            return subprocess.Popen(
                command,
                executable=shutil.which(command[0]) if bare else None,
                cwd=cwd,
                env=dict(env or {}) if bare else base_env(env),
                stdin=subprocess.DEVNULL if stdout or talks else subprocess.PIPE,
                stdout=stdout or subprocess.PIPE,
                stderr=stderr or (None if talks else subprocess.PIPE),
                text=True,
                errors="replace",
                pass_fds=tuple(pass_fds),
                start_new_session=daemon or talks,
                umask=_DAEMON_UMASK if daemon else -1,
            )
        except FileNotFoundError as error:
            raise InfraError(f"{error.filename} is not installed", hint="see the list of tools in README.md") from error


def start_daemon(argv: Sequence[str], *, env: Mapping[str, str], log_file: Path) -> None:
    """Start what outlives us, in a session of its own and as nobody's child; its output goes to log_file."""
    with start(["setsid", "--fork", *argv], env=env, log_file=log_file, daemon=True) as forked:
        forked.wait()


def become(argv: Sequence[str]) -> NoReturn:
    """Go on as this tool, at our own terminal; argv[0] is a path."""
    os.execve(argv[0], list(argv), base_env())  # noqa: S606  (its words are ours, not a shell's)


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ask it to end; SIGTERM."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)


def wait(process: subprocess.Popen[str], *, timeout_s: float) -> int | None:
    """The exit code of a started process, or None if it has not ended within timeout_s seconds.

    Raises StoppedError when this thread is told to stop; the process goes on then.
    """
    end = time.monotonic() + timeout_s
    while True:
        left_s = max(0.0, end - time.monotonic())
        if (code := _ended(process, min(left_s, _LOOK_S))) is not None:
            return code
        if left_s <= _LOOK_S:
            return None
        require_wanted()


def _ended(process: subprocess.Popen[str], seconds: float) -> int | None:
    """The exit code as soon as there is one; Popen.wait naps up to 50 ms between its looks."""
    if (code := process.poll()) is not None:
        return code
    pid_fd = os.pidfd_open(process.pid)
    try:
        ending = select.poll()
        ending.register(pid_fd, select.POLLIN)
        ending.poll(seconds * 1000)
    finally:
        os.close(pid_fd)
    return process.poll()


def stop(process: subprocess.Popen[str], *, grace_s: float = 5.0) -> None:
    """Interrupt, then kill; returns when the process has been reaped."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
