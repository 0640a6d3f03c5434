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

ALLOWED = range(41300, 41304)


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    made = Ports(tmp_path, ALLOWED)
    yield made
    made.release()


def test_a_domain_gets_its_own_port_and_keeps_it(ports: Ports) -> None:
    port = ports.take("a.example")
    assert port == names.preferred_port("a.example", ALLOWED)
    assert ports.take("a.example") == port


def test_every_port_is_used_before_there_is_none(ports: Ports) -> None:
    assert {ports.take(f"d{number}.example") for number in range(4)} == set(ALLOWED)
    with pytest.raises(InfraError, match="no free port from 41300 to 41303") as caught:
        ports.take("one.more")
    assert "port_count" in str(caught.value.hint)


def test_two_runs_never_share_one(ports: Ports, tmp_path: Path) -> None:
    other = Ports(tmp_path, ALLOWED)
    taken = ports.take("a.example")
    second = other.take("a.example")
    assert second != taken
    assert second == ALLOWED[(taken - ALLOWED.start + 1) % 4]
    ports.release()
    other.release()
    assert other.take("a.example") == taken
    other.release()


def test_a_port_that_somebody_listens_on_is_left_alone(ports: Ports) -> None:
    taken = names.preferred_port("a.example", ALLOWED)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", taken))
        listener.listen()
        assert ports.take("a.example") != taken
    assert ports.take("b.example") in ALLOWED


def test_refused_ports_leak_no_descriptor(ports: Ports) -> None:
    for number in range(4):
        ports.take(f"d{number}.example")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (counts what is open now)
    for _ in range(5):
        with pytest.raises(InfraError):
            ports.take("one.more")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_killed_run_gives_its_port_back(ports: Ports, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from warmci.base.ports import Ports\n"
        "ports = Ports(Path(sys.argv[1]), range(41300, 41304)); print(ports.take('a.example'), flush=True)\n"
        "sys.stdin.read()"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        theirs = int(run.stdout.readline())
        assert ports.take("a.example") != theirs
        run.kill()
    ports.release()
    assert ports.take("a.example") == theirs
