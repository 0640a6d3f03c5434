"""A Debian with systemd and WarmCI's dependencies, made once and kept outside the repository; this tree's wheel."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.demo.images import default_cache_dir

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
VENV = "/opt/warmci"
_PACKAGES = "systemd,systemd-sysv,dbus,python3-venv,ca-certificates,git,curl,e2fsprogs,attr"
_FORMAT = 1
"""Raised when what is below makes another tree from the same packages."""
_MAKE_TIMEOUT_S = 900


def run(argv: Sequence[str], *, timeout_s: float = _MAKE_TIMEOUT_S) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False, umask=0o022)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr or done.stdout}"
    return done.stdout


def _suite() -> str:
    """The release of this machine: its package sources and keys are the ones that are at hand."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("VERSION_CODENAME="))


def _requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted(project["dependencies"])


def provide() -> Path:
    """The tree, from the cache or made now (a minute); one process at a time makes it, others wait."""
    facts = repr((_FORMAT, _suite(), _PACKAGES, _requirements()))
    cache = default_cache_dir().parent / "systemd"
    tree = cache / hashlib.sha256(facts.encode()).hexdigest()[:16]
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    fd = os.open(cache / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if not tree.exists():
            for stale in cache.glob("making-*"):
                shutil.rmtree(stale)
            making = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
            _make(making)
            making.chmod(0o755)
            making.rename(tree)
    finally:
        os.close(fd)
    return tree


def _make(tree: Path) -> None:
    run(["mmdebstrap", "--variant=minbase", f"--include={_PACKAGES}", _suite(), str(tree)])
    python = (tree / "usr/bin/python3").readlink().name
    with tempfile.TemporaryDirectory() as wheels:
        fetch = ["download", "--quiet", "--only-binary=:all:", f"--python-version={python.removeprefix('python')}"]
        machine = os.uname().machine
        fetch += [f"--platform=manylinux{level}_{machine}" for level in ("_2_34", "_2_28", "_2_17", "2014")]
        run([sys.executable, "-m", "pip", *fetch, f"--dest={wheels}", *_requirements()])
        shutil.copytree(wheels, tree / "wheels")
    _in(tree, "python3", "-m", "venv", VENV)
    _in(tree, f"{VENV}/bin/pip", "install", "--quiet", "--no-index", "--find-links=/wheels", *_requirements())
    shutil.rmtree(tree / "wheels")


def _in(tree: Path, *argv: str) -> None:
    run(["chroot", str(tree), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *argv])


def build_wheel(directory: Path) -> Path:
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={directory}", str(ROOT)])
    (wheel,) = directory.glob("warmci-*.whl")
    return wheel


def install_wheel(tree: Path, wheel: Path) -> None:
    shutil.copy(wheel, tree / wheel.name)
    _in(tree, f"{VENV}/bin/pip", "install", "--quiet", "--no-index", "--no-deps", f"/{wheel.name}")
    (tree / wheel.name).unlink()
