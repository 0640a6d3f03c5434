"""On which addresses and ports a container's processes listen, read from the kernel: proc(5), /proc/PID/net/tcp."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from warmci.swarm.engine import Engine

_LISTEN = "0A"
_ENGINES_OWN = ipaddress.ip_address("127.0.0.11")
"""The engine's name server inside each container."""
Listener = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]


def listeners(engine: Engine, container: str) -> list[Listener] | None:
    """Of a running container; None where its processes are not to be seen from here (another host or namespace)."""
    pid = int(((engine.inspect_container(container) or {}).get("State") or {}).get("Pid") or 0)
    process = Path("/proc", str(pid))
    try:
        if not pid or container not in (process / "cgroup").read_text(encoding="utf-8"):
            return None
        tables = [(process / "net" / name).read_text(encoding="ascii") for name in ("tcp", "tcp6")]
    except OSError:
        return None
    return sorted({found for table in tables for found in _parse(table)}, key=str)


def _parse(table: str) -> Iterator[Listener]:
    for line in table.splitlines()[1:]:
        fields = line.split()
        address, _, port = fields[1].partition(":")
        if fields[3] == _LISTEN and (found := _address(address)) != _ENGINES_OWN:
            yield found, int(port, 16)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The kernel prints words of 32 bit in the host's byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return ipaddress.ip_address(b"".join(struct.pack("=I", word) for word in words))


def diagnosis(found: Sequence[Listener] | None, port: int) -> str:
    """Why nothing is reached on that port; empty where the sockets do not tell."""
    if found is None:
        return ""
    here = [address for address, number in found if number == port]
    others = ", ".join(sorted({f"{address} port {number}" for address, number in found}))
    if not here:
        return f"nothing listens on port {port}; the app listens on {others or 'no port at all'}"
    if all(address.is_loopback for address in here):
        return f"the app listens on loopback only: {others}"
    return ""
