"""Enters the network namespace of a private engine: its published ports are on the loopback of that namespace."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError

if TYPE_CHECKING:
    from pathlib import Path

_CLONE_NEWNET = 0x40000000


def enter(netns: Path) -> None:
    """Move the calling thread, and what it starts from now on, into the namespace (setns(2))."""
    try:
        fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InfraError(
            f"network namespace {netns}: {error.strerror}", hint="is its engine running? warmci demo --keep starts it"
        ) from error
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET) != 0:
            raise InfraError(f"network namespace {netns} cannot be entered: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(fd)
