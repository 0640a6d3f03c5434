"""A process of its own for each test: own mounts on own memory, gone with it however it ends."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
_CLONE_NEWNS = 0x20000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def isolated(work: Callable[[Path], T], room: Path, *, size: str = "2g") -> T:
    """What work returns, called in a child whose `room` is an empty tmpfs that nobody else sees.

    An AssertionError or any other exception of the child becomes an AssertionError here, with its traceback.
    """
    room.mkdir(exist_ok=True)
    answer, reply = os.pipe()
    child = os.fork()
    if not child:
        os.close(answer)
        _in_child(work, room, size, reply)
    os.close(reply)
    with os.fdopen(answer, "rb") as file:
        said = file.read()
    _, status = os.waitpid(child, 0)
    assert said, f"the child said nothing and ended with status {status}"
    result, trouble = pickle.loads(said)  # noqa: S301  (our own child wrote it)
    assert not trouble, trouble
    return result  # type: ignore[no-any-return]


def _in_child(work: Callable[[Path], T], room: Path, size: str, reply: int) -> None:
    try:
        try:
            die_with_parent()
            os.umask(0o077)
            sys.dont_write_bytecode = True  # a module's first import would add points that the next trace does not have
            os.environ["PATH"] += ":/usr/sbin:/sbin"
            assert _libc.unshare(_CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
            run("mount", "--make-rprivate", "/")
            run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(room))
            said = (work(room), "")
        except BaseException:  # noqa: BLE001  (told to the parent)
            said = (None, traceback.format_exc())  # type: ignore[assignment]
        with os.fdopen(reply, "wb") as file:
            pickle.dump(said, file)
    finally:
        os._exit(0)


def run(*argv: str) -> str:
    """A tool of the harness itself; its failure is the harness's, not a finding."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}"
    return done.stdout


def copy_tree(source: Path, target: Path) -> Path:
    run("cp", "-a", "--", str(source), str(target))
    return target
