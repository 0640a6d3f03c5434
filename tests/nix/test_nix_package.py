"""nix/package.nix: evaluated, and compared with what the program needs."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from typing import Any

import pytest

from support.nixeval import ROOT, evaluate, nix
from warmci.base.settings import Settings

# Which package of nixpkgs has each tool that a run calls.
PACKAGES = {
    "chattr": "e2fsprogs",
    "cp": "coreutils",
    "docker": "docker-client",
    "du": "coreutils",
    "git": "git",
    "mount": "util-linux",
    "openssl": "openssl",
    "prlimit": "util-linux",
    "rm": "coreutils",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "sync": "coreutils",
    "umount": "util-linux",
}
# What only `warmci demo` and the tests do: they start engines and build images from Debian's packages.
ON_DEBIAN_ONLY = {"private_engine", "images"}
NO_PROGRAM = {"process"}
"""What base/process.py calls a command whose words it does not know."""


@pytest.fixture(scope="module")
def arguments() -> Any:
    return evaluate("{ services.warmci.enable = true; }", attribute="package")


def called(source: str) -> set[str]:
    """First words of the argument lists in a module: literal lists that start with the name of a program."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
        values: list[ast.expr] = []
        if is_call and ast.unparse(node.func) in {"process.run", "process.start", "start", "process.start_daemon"}:  # type: ignore[attr-defined]
            values = node.args[:1]  # type: ignore[attr-defined]
        elif is_call and ast.unparse(node.func) == "shutil.which":  # type: ignore[attr-defined]
            values = [ast.List(node.args[:1])]  # type: ignore[attr-defined]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"argv", "command", "prefix"}:
            values = [node.value]
        for value in values:
            lists = [part for part in ast.walk(value) if isinstance(part, ast.List) and part.elts]
            words = [part.elts[0].value for part in lists if isinstance(part.elts[0], ast.Constant)]
            found |= {word for word in words if isinstance(word, str)}
    return found


def test_it_needs_what_the_wheel_needs(arguments: Any) -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = whole["project"]
    for ours, theirs in (
        ("dependencies", project["dependencies"]),
        ("build-system", whole["build-system"]["requires"]),
    ):
        wanted = sorted(requirement.partition(">=")[0] for requirement in theirs)
        names = [re.sub(r"-[\d.]+$", "", path) for path in arguments[ours]]
        assert sorted(name.partition("/nix/store/")[2][33:] for name in names) == wanted
    assert arguments["version"] == whole["tool"]["hatch"]["version"]["fallback-version"]
    assert arguments["meta"]["mainProgram"] in project["scripts"]


def test_every_tool_that_is_called_is_wrapped_in(arguments: Any) -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "src" / "warmci").glob("**/*.py")}
    tools = {
        tool for path, text in sources.items() if path.stem not in ON_DEBIAN_ONLY for tool in called(text)
    } - NO_PROGRAM
    assert {"git", "mount", "cp", "docker", "setpriv"} <= tools
    assert tools - PACKAGES.keys() == set(), "name the package that has it, here and in nix/package.nix"
    (flags,) = arguments["makeWrapperArgs"]
    wrapped = {path.rpartition("/bin")[0][44:] for path in flags.removeprefix("--prefix PATH : ").split(":")}
    assert {PACKAGES[tool] for tool in tools} <= wrapped


def test_the_modules_know_every_setting_that_is_a_secret() -> None:
    secrets = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    known = json.loads(nix("--eval", "--strict", "--json", str(ROOT / "nix" / "modules" / "secret-settings.nix")))
    assert sorted(known) == sorted(secrets)
    assert secrets


def test_the_collector_sees_calls() -> None:
    assert called(
        "process.run(['a', 'x'], timeout_s=1)\nargv = ['b']\nother = ['c']\nrun(['d'])\nshutil.which('e')"
    ) == {
        "a",
        "b",
        "e",
    }
