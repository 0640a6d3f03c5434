"""Ports: one run each, over processes; none that anybody listens on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from warmci.base import names
from warmci.base.errors import InfraError
from warmci.base.ports import Ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def allowed() -> range:
    """Four ports that nobody has, below those that the kernel gives to connections (ip_local_port_range)."""
    first = 10000 + 4 * (os.getpid() % 2000)
    blocks = (range(start, start + 4) for start in range(first, first + 4000, 4))
    return next(block for block in blocks if all(_nobody_listens(port) for port in block))


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def ports(tmp_path: Path, allowed: range) -> Iterator[Ports]:
    made = Ports(tmp_path, allowed)
    yield made
    made.release()


def test_a_domain_gets_its_own_port_and_keeps_it(ports: Ports, allowed: range) -> None:
    port = ports.take("a.example")
    assert port == names.preferred_port("a.example", allowed)
    assert ports.take("a.example") == port


def test_every_port_is_used_before_there_is_none(ports: Ports, allowed: range) -> None:
    assert {ports.take(f"d{number}.example") for number in range(4)} == set(allowed)
    with pytest.raises(InfraError, match=f"no free port from {allowed[0]} to {allowed[-1]}") as caught:
        ports.take("one.more")
    assert "port_count" in str(caught.value.hint)


def test_two_runs_never_share_one(ports: Ports, tmp_path: Path, allowed: range) -> None:
    other = Ports(tmp_path, allowed)
    taken = ports.take("a.example")
    second = other.take("a.example")
    assert second != taken
    assert second == allowed[(taken - allowed.start + 1) % 4]
    ports.release()
    other.release()
    assert other.take("a.example") == taken
    other.release()


def test_a_port_that_somebody_listens_on_is_left_alone(ports: Ports, allowed: range) -> None:
    taken = names.preferred_port("a.example", allowed)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", taken))
        listener.listen()
        assert ports.take("a.example") != taken
    assert ports.take("b.example") in allowed


def test_refused_ports_leak_no_descriptor(ports: Ports) -> None:
    for number in range(4):
        ports.take(f"d{number}.example")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (counts what is open now)
    for _ in range(5):
        with pytest.raises(InfraError):
            ports.take("one.more")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_killed_run_gives_its_port_back(ports: Ports, tmp_path: Path, allowed: range) -> None:
    script = (
        "import sys; from pathlib import Path; from warmci.base.ports import Ports\n"
        "ports = Ports(Path(sys.argv[1]), range(*map(int, sys.argv[2:]))); print(ports.take('a.example'), flush=True)\n"
        "sys.stdin.read()"
    )
    argv = [sys.executable, "-c", script, str(tmp_path), str(allowed.start), str(allowed.stop)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        theirs = int(run.stdout.readline())
        assert ports.take("a.example") != theirs
        run.kill()
    ports.release()
    assert ports.take("a.example") == theirs
