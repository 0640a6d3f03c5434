"""Runs a work under strace(1) and injects one kill or one error at one point of it, in our process or in a tool's.

`when=N` counts per system call name and per process. So our process is traced alone, without its children, and a tool
is traced by putting strace before its command: each point is met exactly, and each case proves that it was.
"""

from __future__ import annotations

import collections
import mmap
import os
import re
import signal
import subprocess
import threading
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isolation import die_with_parent

from warmci.base import fs, process
from warmci.base.errors import WarmciError
from warmci.store import quiesce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Work = Callable[[Path], object]

_CREATING = "open openat creat"
_NAMING = "mkdir mkdirat mknod mknodat rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat rmdir"
_WRITING = "write pwrite64 writev pwritev copy_file_range sendfile ftruncate truncate fallocate"
_SYNCING = "fsync fdatasync syncfs sync sync_file_range"
_MARKING = "chmod fchmod fchmodat chown fchown lchown fchownat utimensat setxattr lsetxattr fsetxattr"
_OTHER = "removexattr lremovexattr fremovexattr ioctl mount umount2"
MUTATING = tuple(f"{_CREATING} {_NAMING} {_WRITING} {_SYNCING} {_MARKING} {_OTHER}".split())
_LINE = re.compile(r"^(?:(\d+) +)?(\w+)\((.*)$")
_WRITES = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC)")
_HARMLESS_IOCTL = re.compile(r"TCGETS|FIEMAP|GETFLAGS|FIOCLEX|FIONREAD|TIOC")
TIMEOUT_S = 60
THREAD = -1
_NOTE_BYTES = 2**16
_SAID = "said: "
FAILED, CRASHED = 2, 3


@dataclass(frozen=True)
class Point:
    """The number-th call of this name in one process."""

    tool: int
    """Which of the tools that we start, in order, from 1; 0 is our own process, THREAD a thread of it."""
    call: str
    number: int
    name: str = "us"

    def __str__(self) -> str:
        return f"{self.name}{f' #{self.tool}' if self.tool > 0 else ''} {self.call}:{self.number}"

    @property
    def in_tool(self) -> bool:
        return self.tool > 0


@dataclass(frozen=True)
class Outcome:
    status: int
    trace: str
    crash: str
    """The traceback of a work that ended by an exception which is not a WarmciError."""
    said: str = ""
    """The words of one that ended by a WarmciError."""

    @property
    def killed(self) -> bool:
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL

    @property
    def code(self) -> int:
        """0: it succeeded, FAILED: it said why not, CRASHED: an exception that nobody turned into words."""
        return os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else -1

    @property
    def injected(self) -> bool:
        return "(INJECTED)" in self.trace or "+++ killed by SIGKILL +++" in self.trace


class _Tools:
    """Replaces subprocess in warmci.base.process: puts strace before the tool that is to be traced."""

    def __init__(self, tool: int, options: Sequence[str], *, die_together: bool) -> None:
        self._chosen, self._options, self._die_together, self._count = tool, options, die_together, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, argv: list[str], **options: Any) -> Any:  # noqa: N802  (the name it stands for)
        self._count += 1
        if self._count == self._chosen:
            argv = ["strace", "-f", "-q", "-q", *self._options, "--", *argv]
        return (_Fatal if self._die_together else subprocess.Popen)(argv, **options)


class _Fatal(subprocess.Popen[str]):
    """When the tool is killed, so are we, before we can do anything about it."""

    def wait(self, timeout: float | None = None) -> int:
        code = super().wait(timeout)
        if code == -signal.SIGKILL:
            os.kill(os.getpid(), signal.SIGKILL)
        return code


def undisturbed(work: Work, world: Path) -> Outcome:
    """Run work(world) in a child, without strace."""
    return _forked(work, world, _Tools(0, [], die_together=False), [])


def traced(
    work: Work, world: Path, tool: int, *options: str, children: bool = False, together: bool = False
) -> Outcome:
    """Run work(world) in a child; our process (tool=0) or one of its tools under strace with these options."""
    log = world.with_name(f"{world.name}.strace")
    log.write_bytes(b"")
    given = ["-y", "-s", "0", "-o", str(log), *options]
    argv = [] if tool > 0 else ["strace", *(["-f"] if children or tool == THREAD else []), *given]
    outcome = _forked(work, world, _Tools(tool, given, die_together=together), argv)
    return replace(outcome, trace=log.read_text(encoding="utf-8", errors="replace"))


def _forked(work: Work, world: Path, tools: _Tools, strace_argv: Sequence[str]) -> Outcome:
    crash = mmap.mmap(-1, _NOTE_BYTES)  # shared memory: a child whose every write fails can still leave a note
    ready, go = os.pipe()
    child = os.fork()
    if not child:
        os.close(go)
        _in_child(work, world, ready, tools, crash)
    os.close(ready)
    strace = None
    if strace_argv:
        strace = subprocess.Popen([*strace_argv, "-p", str(child)], stderr=subprocess.PIPE, text=True)
    guard = threading.Timer(TIMEOUT_S, os.kill, (child, signal.SIGKILL))
    guard.start()
    try:
        if strace:
            assert strace.stderr
            said = strace.stderr.readline()
            assert "attached" in said, said
        os.write(go, b"!")
        os.close(go)
        _, status = os.waitpid(child, 0)
        if strace:
            strace.communicate(timeout=TIMEOUT_S)
    finally:
        in_time = guard.is_alive()
        guard.cancel()
    assert in_time, "our own guard killed it, not the injection"
    note = crash.read().rstrip(b"\0").decode(errors="replace")
    said = note.removeprefix(_SAID) if note.startswith(_SAID) else ""
    return Outcome(status, "", "" if said else note, said)


def _in_child(work: Work, world: Path, ready: int, tools: _Tools, crash: mmap.mmap) -> None:
    code = CRASHED
    try:
        die_with_parent()
        vars(process)["subprocess"] = tools
        # How many namespaces there are is the machine's affair, and each would shift the number of every later call.
        quiesce._namespaces = lambda: [(os.getpid(), False, fs.mounts())]
        os.read(ready, 1)
        work(world)
        code = 0
    except WarmciError as error:
        code = FAILED
        crash.write(f"{_SAID}{error.message}".encode()[:_NOTE_BYTES])
    except BaseException:  # noqa: BLE001  (told to the parent)
        crash.write(traceback.format_exc().encode()[-_NOTE_BYTES:])
    finally:
        os._exit(code)


def points(work: Work, world: Path) -> tuple[list[Point], dict[tuple[int, str], int]]:
    """Every point of one undisturbed run that touches the world; and how often each process made each call at all."""
    outcome = traced(work, world, 0, "-e", f"trace={','.join((*MUTATING, 'execve'))}", children=True)
    assert outcome.code == 0, outcome.crash or outcome.said
    main, found = "", []
    order: list[str] = []
    names: dict[str, str] = {}
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    for line in outcome.trace.splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        pid, call, rest = match.group(1), match.group(2), match.group(3)
        main = main or pid
        if call == "execve":
            if pid not in order:
                order.append(pid)
            names[pid] = Path(rest.split('"')[1]).name
            continue
        counts[pid, call] += 1
        if _touches(call, rest, world):
            found.append((pid, call, counts[pid, call]))
    threads = {pid for pid, _, _ in found} - {main, *order}
    theirs = {call for pid, call, _ in found if pid in threads}
    for pid, call in counts:  # a thread's calls are met by name alone: nobody else may make them
        assert pid in threads or call not in theirs, f"a thread of ours and another process both call {call}"
    place = {main: 0, **{pid: number for number, pid in enumerate(order, 1)}, **dict.fromkeys(threads, THREAD)}
    names |= {main: "us", **dict.fromkeys(threads, "our thread")}
    return (
        [Point(place[pid], call, number, names[pid]) for pid, call, number in found],
        {(place[pid], call): count for (pid, call), count in counts.items() if pid in place},
    )


def _touches(call: str, rest: str, world: Path) -> bool:
    """Whether a call changes something below the world: pipes, libraries and mere reading are no points."""
    if call in {"open", "openat"} and not _WRITES.search(rest):
        return False
    if call == "ioctl" and _HARMLESS_IOCTL.search(rest):
        return False
    return str(world) in rest or "/proc/self/fd" in rest


def kill_at(work: Work, world: Path, point: Point, *, together: bool = False) -> Outcome:
    outcome = inject(work, world, point, "signal=SIGKILL", together=together)
    assert "+++ killed by SIGKILL +++" in outcome.trace, f"{point} was not killed"
    assert outcome.killed or (point.in_tool and not together), f"{point}: status {outcome.status}"
    return outcome


def fail_at(work: Work, world: Path, point: Point, code: str, *, for_good: bool) -> Outcome:
    """The call fails with this error; for good: so does every later call of its name in that process."""
    outcome = inject(work, world, point, f"error={code}", "+" if for_good else "")
    assert "(INJECTED)" in outcome.trace, f"{point} was not injected"
    return outcome


def inject(work: Work, world: Path, point: Point, what: str, more: str = "", *, together: bool = False) -> Outcome:
    where = f"inject={point.call}:{what}:when={point.number}{more}"
    return traced(work, world, point.tool, "-e", f"trace={point.call}", "-e", where, together=together)
