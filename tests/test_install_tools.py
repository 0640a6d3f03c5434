"""scripts/install-tools on a machine that has nothing yet: what it would install for those who need it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from support.rooms import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = ROOT / "scripts" / "install-tools"
BARE = """
command() { [ "$2" = apt-get ]; }
docker() { return 127; }
id() { echo 0; }
set -- %s
. "$0"
"""
"""Nothing is there but a package manager, and that one fails: the script says what it would install, and ends."""


def packages(group: str, stub: Path) -> set[str]:
    (stub / "apt-get").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (stub / "apt-get").chmod(0o755)
    argv = ["sh", "-c", BARE % group, str(SCRIPT)]
    env = {"PATH": f"{stub}:/usr/bin:/bin"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("installing: ")]
    return set(line.removeprefix("installing: ").split())


@pytest.mark.parametrize("group", ["engine", "test"])
def test_an_engine_comes_with_what_every_run_calls(group: str, tmp_path: Path) -> None:
    assert {"docker.io", "iptables", "iproute2", "slirp4netns", "haproxy"} <= packages(group, tmp_path)
