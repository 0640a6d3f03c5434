"""A private engine leaves nothing, keeps its swarm over a stop, and does not mind a second one."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from warmci.demo import private_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration


def traces(name: str) -> list[str]:
    found = [str(path) for path in (Path("/run") / name, Path("/run/netns") / name) if path.exists()]
    found += [line for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines() if name in line]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if f"/run/{name}" in words or f"/run/netns/{name}" in words:
                found.append(words.replace("\0", " "))
    return found


def docker(host: str, *arguments: str) -> str:
    done = subprocess.run(["docker", "-H", host, *arguments], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "engine"
    private_engine.destroy(tmp_path / "engine")


def test_swarm_comes_back_and_nothing_stays(root: Path) -> None:
    started = private_engine.start(root, print)
    assert private_engine.start(root, print) == started
    docker(started.docker_host, "network", "create", "--driver", "overlay", "kept")
    private_engine.stop(root)
    assert traces(started.netns.name) == []
    assert private_engine.running(root) is None
    again = private_engine.start(root, print)
    assert "kept" in docker(again.docker_host, "network", "ls", "--format", "{{.Name}}").split()
    private_engine.destroy(root)
    assert traces(started.netns.name) == []
    assert not root.exists()


def test_a_private_umask_of_ours_is_not_the_daemons(root: Path) -> None:
    before = os.umask(0o077)
    try:
        started = private_engine.start(root, print)
    finally:
        os.umask(before)
    pid = (Path("/run") / started.netns.name / "dockerd.pid").read_text(encoding="ascii")
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    assert "Umask:\t0022" in status or "Umask:\t0000" in status  # which current engines choose themselves


def test_two_at_once_are_strangers(root: Path, tmp_path: Path) -> None:
    first = private_engine.start(root, print)
    try:
        second = private_engine.start(tmp_path / "second", print)
        docker(second.docker_host, "network", "create", "--driver", "overlay", "only-here")
        assert "only-here" not in docker(first.docker_host, "network", "ls")
    finally:
        private_engine.destroy(tmp_path / "second")
    assert private_engine.running(root) == first


def test_a_killed_daemon_is_cleared_and_started_again(root: Path) -> None:
    started = private_engine.start(root, print)
    pid = int((Path("/run") / started.netns.name / "dockerd.pid").read_text(encoding="ascii"))
    os.kill(pid, signal.SIGKILL)
    again = private_engine.start(root, print)
    assert docker(again.docker_host, "node", "ls", "--format", "{{.Status}}").strip() == "Ready"
