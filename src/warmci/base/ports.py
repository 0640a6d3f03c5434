"""Ports for apps, one run each: reserved by flock until the run ends, so that two runs at once cannot collide."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING

from warmci.base import names
from warmci.base.errors import InfraError

if TYPE_CHECKING:
    from pathlib import Path


class Ports:
    """The ports that one run has taken."""

    def __init__(self, locks_dir: Path, allowed: range) -> None:
        self._locks_dir = locks_dir
        self._allowed = allowed
        self._held: dict[int, int] = {}
        self._by_domain: dict[str, int] = {}

    def take(self, domain: str, *, first: int | None = None) -> int:
        """The domain's own port if nobody has it, else the next free one; the same domain gets the same one again.

        first: the one to try before all others, where the domain has had one.
        """
        if domain in self._by_domain:
            return self._by_domain[domain]
        if first is None or first not in self._allowed:
            first = names.preferred_port(domain, self._allowed)
        for offset in range(len(self._allowed)):
            port = self._allowed[(first - self._allowed.start + offset) % len(self._allowed)]
            if port not in self._held and self._reserve(port):
                self._by_domain[domain] = port
                return port
        span = f"{self._allowed.start} to {self._allowed.stop - 1}"
        raise InfraError(f"no free port from {span}", hint="raise port_count in the settings")

    def _reserve(self, port: int) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self._locks_dir / f"port-{port}", flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        if not _is_free(port):
            os.close(fd)
            return False
        self._held[port] = fd
        return True

    def release(self) -> None:
        for fd in self._held.values():
            os.close(fd)
        self._held.clear()
        self._by_domain.clear()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104  (the engine binds all addresses, too)
        except OSError:
            return False
        return True
