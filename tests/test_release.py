"""What a release is made with: its version from the tag, its commit, pins of all that builds and runs it, its bill."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from support.rooms import ROOT

PARTS = (
    "pyproject.toml",
    "hatch_build.py",
    "README.md",
    "LICENSE",
    ".git_archival.txt",
    ".gitattributes",
    ".gitignore",
)
AUTHOR = ("-c", "user.name=me", "-c", "user.email=me@example.org")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FALLBACK: str = PROJECT["tool"]["hatch"]["version"]["fallback-version"]
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.from_version(sys.argv[2])).validate_str(open(sys.argv[1]).read()))
"""


def call(where: Path, *argv: str | Path) -> str:
    done = subprocess.run([*map(str, argv)], cwd=where, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def version_of(tree: Path) -> str:
    return call(tree, sys.executable, "-m", "hatchling", "version")


def commit_in_wheel_of(tree: Path) -> str:
    call(tree, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tree / "out")
    (wheel,) = (tree / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("warmci/commit").decode().strip() if "warmci/commit" in archive.namelist() else ""


def pins(name: str) -> dict[str, Version]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z0-9-]+)==([^ ;]+).*\\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^\S", text, re.MULTILINE))
    return {name: Version(version) for name, version in found}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What decides on the version, without git."""
    root = tmp_path / "tree"
    for part in (*PARTS, "src/warmci/__init__.py"):
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, root / part)
    return root


@pytest.fixture
def tagged(tree: Path) -> Path:
    """The same as a checkout of a release."""
    call(tree, "git", "init", "-q")
    call(tree, "git", "add", "-A")
    call(tree, "git", *AUTHOR, "commit", "-q", "-m", "Release")
    call(tree, "git", *AUTHOR, "tag", "-a", "-m", "0.3.0", "v0.3.0")
    return tree


def test_the_version_is_that_of_the_tag(tagged: Path) -> None:
    assert version_of(tagged) == "0.3.0"
    call(tagged, "git", *AUTHOR, "commit", "-q", "--allow-empty", "-m", "Next")
    assert version_of(tagged) == "0.3.1.dev1"


def test_a_tree_without_git_has_the_fallback(tree: Path) -> None:
    assert version_of(tree) == FALLBACK
    assert commit_in_wheel_of(tree) == ""


def test_an_archive_of_git_keeps_version_and_commit(tagged: Path, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    call(tagged, "git", "archive", "--output", tmp_path / "archive.tar", "HEAD")
    call(tmp_path, "tar", "xf", "archive.tar", "-C", "archive")
    assert version_of(tmp_path / "archive") == "0.3.0"
    assert commit_in_wheel_of(tmp_path / "archive") == call(tagged, "git", "rev-parse", "HEAD")


def test_a_source_distribution_keeps_version_and_commit(tagged: Path, tmp_path: Path) -> None:
    call(tagged, sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path)
    call(tmp_path, "tar", "xf", "warmci-0.3.0.tar.gz")
    assert version_of(tmp_path / "warmci-0.3.0") == "0.3.0"
    assert commit_in_wheel_of(tmp_path / "warmci-0.3.0") == call(tagged, "git", "rev-parse", "HEAD")


def test_the_fallback_is_not_behind_a_release() -> None:
    tags = call(ROOT, "git", "tag", "--list", "v[0-9]*").split() if (ROOT / ".git").exists() else []
    assert Version(FALLBACK) >= max([Version("0"), *map(Version, tags)])


@pytest.mark.parametrize(
    ("name", "asked"),
    [("runtime", PROJECT["project"]["dependencies"]), ("build", PROJECT["build-system"]["requires"])],
    ids=["runtime", "build"],
)
def test_what_is_asked_for_is_pinned_below_the_next_major(name: str, asked: list[str]) -> None:
    for requirement in map(Requirement, asked):
        assert "<" in str(requirement.specifier), f"{requirement.name}: no upper bound"
        assert requirement.specifier.contains(pins(name)[requirement.name]), "run `make lock`"


def test_one_environment_takes_all_pins() -> None:
    dev = pins("dev")
    assert pins("runtime").items() <= dev.items()
    build = pins("build")
    assert {name: build[name] for name in build.keys() & dev.keys()} == {
        name: dev[name] for name in build.keys() & dev.keys()
    }


def test_the_bill_of_materials_is_cyclonedx_and_names_every_pin(tmp_path: Path) -> None:
    bill = tmp_path / "bill.json"
    call(ROOT, "make", "--old-file=.venv/.dev", "sbom", f"SBOM={bill}", f"BIN={Path(sys.executable).parent}")
    said = json.loads(bill.read_text(encoding="utf-8"))
    assert call(tmp_path, sys.executable, "-c", VALIDATE, bill, said["specVersion"]) == "None"
    assert (said["bomFormat"], said["metadata"]["component"]["name"]) == ("CycloneDX", "warmci")
    assert Version(said["metadata"]["component"]["version"]) == Version(version_of(ROOT))
    listed = {part["name"]: Version(part["version"]) for part in said["components"]}
    assert listed == pins("runtime")
    assert all(part["externalReferences"][0]["hashes"] for part in said["components"])
