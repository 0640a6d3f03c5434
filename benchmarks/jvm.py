"""What a container's processes hold in memory, and a JVM's live heap, as the host sees them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
from pathlib import Path

_ATTACH_S = 20.0
_HEAP = re.compile(r"garbage-first heap.*? used (\d+)K")


def processes(container: str) -> list[int]:
    """Of a container by its id; a health check's own are gone in a moment and are in it only by chance."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and container in (entry / "cgroup").read_text(encoding="utf-8"):
                found.append(int(entry.name))
    return sorted(found, key=rss_mb)


def rss_mb(pid: int) -> int:
    """Zero for one that has just ended."""
    with contextlib.suppress(OSError):
        match = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), re.MULTILINE)
        return int(match[1]) // 1024 if match else 0
    return 0


def live_heap_mb(pid: int) -> int | None:
    """Heap in use after a full collection, by HotSpot's attach protocol; None when the JVM does not let us."""
    with contextlib.suppress(OSError, StopIteration, TimeoutError):
        own = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").split("NSpid:")[1].splitlines()[0].split()[-1]
        root = Path(f"/proc/{pid}/root/tmp")
        _wake(pid, own, root)
        _command(root / f".java_pid{own}", "GC.run")
        match = _HEAP.search(_command(root / f".java_pid{own}", "GC.heap_info"))
        return int(match[1]) // 1024 if match else None
    return None


def _wake(pid: int, own: str, root: Path) -> None:
    """Make the JVM listen; SIGQUIT without the file would make it print its threads."""
    if (root / f".java_pid{own}").exists():
        return
    asked = root / f".attach_pid{own}"
    asked.touch()
    owner = Path(f"/proc/{pid}").stat()
    os.chown(asked, owner.st_uid, owner.st_gid)
    try:
        os.kill(pid, signal.SIGQUIT)
        end = time.monotonic() + _ATTACH_S
        while not (root / f".java_pid{own}").exists():
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(0.1)
    finally:
        asked.unlink(missing_ok=True)


def _command(path: Path, words: str) -> str:
    said = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ATTACH_S)
        connection.connect(str(path))
        connection.sendall(b"1\0jcmd\0" + words.encode() + b"\0\0\0")
        while piece := connection.recv(65536):
            said += piece
    return said.decode(errors="replace")
