"""What a user gets: the source distribution, the wheel made of it, and every command in an empty environment."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from support.pages import commands_of_both
from support.rooms import ROOT

pytestmark = pytest.mark.integration


def call(*argv: str | Path, **options: str) -> str:
    done = subprocess.run(
        [*map(str, argv)], capture_output=True, text=True, timeout=300, check=False, env=options or None
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel of the source distribution in it; pip itself looks at what it needs."""
    home = tmp_path_factory.mktemp("install")
    call(sys.executable, "-m", "venv", home / "build")
    builds = ("--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements" / "build.txt"))
    call(home / "build" / "bin" / "pip", "install", "--quiet", *builds)
    call("git", "clone", "--quiet", ROOT, home / "checkout")
    build = subprocess.run(
        [home / "build" / "bin" / "python", "-m", "hatchling", "build", "-t", "sdist", "-d", home / "dist"],
        cwd=home / "checkout",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    (sdist,) = (home / "dist").glob("*.tar.gz")
    call(sys.executable, "-m", "venv", home / "venv")
    pip = home / "venv" / "bin" / "pip"
    locked = ("--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements" / "runtime.txt"))
    call(pip, "install", "--quiet", *locked)
    call(pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", home / "wheel", sdist)
    (wheel,) = (home / "wheel").glob("warmci-*.whl")
    call(pip, "install", "--quiet", "--no-deps", wheel)
    call(pip, "check")
    return home


def test_the_source_distribution_has_what_a_packager_needs(installed: Path) -> None:
    (sdist,) = (installed / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "src/warmci/py.typed"} <= names
    assert {name.partition("/")[0] for name in names} <= {
        *(path.name for path in ROOT.iterdir()),
        "PKG-INFO",
    }


@pytest.mark.parametrize("words", commands_of_both(), ids=" ".join)
def test_every_command_explains_itself(installed: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    program = installed / "venv" / "bin" / words[0]
    said = call(program, *words[1:], "--help", PATH="/usr/bin:/bin", HOME=str(tmp_path))
    assert "Usage:" in said
    assert list(tmp_path.iterdir()) == []


def test_the_demo_s_parts_are_in_the_wheel(installed: Path) -> None:
    (package,) = (installed / "venv" / "lib").glob("python3*/site-packages/warmci")
    tracked = call("git", "-C", ROOT, "ls-files", "src/warmci").split()
    missing = [name for name in tracked if not (package / Path(name).relative_to("src/warmci")).exists()]
    assert missing == []


def test_version_names_commit_and_state_format(installed: Path) -> None:
    (wheel,) = (installed / "wheel").glob("warmci-*.whl")
    head = call("git", "-C", installed / "checkout", "rev-parse", "HEAD")
    said = call(installed / "venv" / "bin" / "warmci", "--version")
    assert said == f"warmci {wheel.name.split('-')[1]} ({head[:12]}), state format 1\n"
