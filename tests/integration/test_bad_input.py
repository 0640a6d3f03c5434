"""Bad input: one clear line, a hint, the documented exit code, nothing left behind."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from warmci.base.models import Ledger
from warmci.demo import private_engine

if TYPE_CHECKING:
    from support.bench import Answer, Bench

pytestmark = pytest.mark.integration


FILES = {"result.json", "junit.xml", "report.html"}


def check(answer: Answer, code: int, words: str) -> None:
    assert answer.code == code, answer.stderr
    errors = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, answer.stderr
    assert words in errors[0]
    assert "Traceback" not in answer.stderr
    assert "\nhint: " in answer.stderr
    for named in re.findall(r"\S+/result\.json", answer.stderr):
        assert {path.name for path in Path(named).parent.iterdir()} >= FILES, "what is named is there"


@pytest.mark.parametrize("name", ["", "x" * 300, "UPPER", "a b", "-x;", ".hidden", "na\u00efve"])
def test_wrong_names(bench: Bench, name: str) -> None:
    check(bench.call("run_recipe_ci.py", "--", name), 2, "not a recipe name")


@pytest.mark.parametrize("path", ["../no-such-directory", "no-such-directory/b"])
def test_directories_that_are_none(bench: Bench, path: str) -> None:
    check(bench.call("run_recipe_ci.py", "--", path), 2, "there is no directory")


def test_unknown_recipe_and_ref(bench: Bench) -> None:
    check(bench.call("run_recipe_ci.py", "no-such-recipe"), 2, "unknown recipe no-such-recipe")
    check(bench.call("run_recipe_ci.py", "custom-html", "--ref", "nope"), 2, "no branch, tag or commit nope")
    check(bench.call("run_recipe_ci.py", "custom-html", "--ref=--upload-pack=x"), 2, "not a ref name")
    assert bench.ledger() == Ledger()


def broken(bench: Bench, name: str, path: str, text: str) -> str:
    """A recipe that is custom-html with one file replaced."""
    target = bench.root / "demo" / "recipes" / name
    if not target.exists():
        source = bench.root / "demo" / "recipes" / "custom-html"
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run([*git, "clone", "-q", str(source), str(target)], check=True)
        (target / path).write_text(text, encoding="utf-8")
        subprocess.run([*git, "-C", str(target), "commit", "-qam", "broken"], check=True)
    return name


@pytest.mark.parametrize(
    ("name", "path", "text", "words"),
    [
        ("no-yaml", "compose.yml", "services: {app: [\n", "compose.yml:"),
        ("no-services", "compose.yml", "version: '3.8'\n", "no services"),
        ("bad-env", ".env.sample", "TYPE=x\nthis is no assignment\n", ".env.sample:2: unexpected character"),
        ("reads-host", "compose.yml", "services: {app: {image: x, env_file: /etc/passwd}}\n", "outside the recipe"),
        ("binds-host", "compose.yml", "services: {app: {image: x, volumes: ['/:/host']}}\n", "mounts / of the host"),
        ("no-image", "compose.yml", "services: {app: {command: x}}\n", "has no image"),
        ("unknown-key", "compose.yml", "services: {app: {image: x, wrong_key: 1}}\n", "property wrong_key is not"),
    ],
)
def test_malformed_recipes(bench: Bench, name: str, path: str, text: str, words: str) -> None:
    check(bench.call("run_recipe_ci.py", broken(bench, name, path, text)), 1, words)
    assert bench.ledger() == Ledger()


def test_a_recipe_cannot_redirect_our_tools(bench: Bench) -> None:
    """The env of a recipe names another engine; it must reach the app, never a tool that we run."""
    sample = (bench.root / "demo" / "recipes" / "custom-html" / ".env.sample").read_text(encoding="utf-8")
    text = f"{sample}\nDOCKER_HOST=tcp://192.0.2.1:2375\nPATH=/nowhere\nDOCKER_CONFIG=/nowhere\n"
    answer = bench.call(
        "run_recipe_ci.py", broken(bench, "redirects", ".env.sample", text), "--ref", "main", "--pr", "1"
    )
    # PATH=/nowhere does reach the app, as abra would have it: its httpd is then not found. The engine was ours.
    assert answer.code in {0, 1}, answer.stderr
    assert "192.0.2.1" not in answer.stderr
    assert "no Docker engine" not in answer.stderr


def test_no_engine(bench: Bench) -> None:
    answer = bench.call("run_recipe_ci.py", "custom-html", WARMCI_DOCKER_HOST="unix:///nonexistent.sock")
    check(answer, 3, "no Docker engine answers at unix:///nonexistent.sock")


def test_a_docker_cli_that_cannot_read_recipes(bench: Bench, tmp_path: Path) -> None:
    old = tmp_path / "docker"
    old.write_text("#!/bin/sh\necho 'Docker version 20.10.24+dfsg1, build 297e128'\n", encoding="utf-8")
    old.chmod(0o755)
    answer = bench.call("run_recipe_ci.py", "custom-html", WARMCI_DOCKER_CLI=str(old))
    check(answer, 3, f"Docker's CLI from 23 on is needed: {old} is 20.10")


def test_engine_that_is_no_swarm(bench: Bench, tmp_path: Path) -> None:
    started = private_engine.start(tmp_path / "engine", print)
    try:
        subprocess.run(["docker", "-H", started.docker_host, "swarm", "leave", "--force"], check=True, timeout=60)
        answer = bench.call(
            "run_recipe_ci.py", "custom-html", WARMCI_DOCKER_HOST=started.docker_host, WARMCI_NETNS=str(started.netns)
        )
        check(answer, 3, "is not a swarm manager")
    finally:
        private_engine.destroy(tmp_path / "engine")


def test_no_space(bench: Bench, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(small)], check=True)
    try:
        answer = bench.call("run_recipe_ci.py", "custom-html", WARMCI_STATE_DIR=str(small))
        check(answer, 3, "no space")
        assert "/result.json" in answer.stderr
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_settings_are_checked(bench: Bench, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("max_tests = 'many'\n", encoding="utf-8")
    check(bench.call("run_recipe_ci.py", "custom-html", WARMCI_SETTINGS=str(wrong)), 2, "max_tests")
    check(bench.call("run_recipe_ci.py", "custom-html", WARMCI_SETTINGS="/nonexistent.toml"), 2, "/nonexistent.toml")
    check(bench.call("run_recipe_ci.py", "custom-html", WARMCI_BASE_DOMAIN="../x"), 2, "base_domain")
    check(bench.call("run_recipe_ci.py", "custom-html", MAX_TESTS="0"), 2, "max_tests")


def test_state_directory_open_to_others_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    os.chmod(tmp_path / "open", 0o755)  # noqa: PTH101
    check(bench.call("run_recipe_ci.py", "custom-html", WARMCI_STATE_DIR=str(tmp_path / "open")), 2, "open to others")
