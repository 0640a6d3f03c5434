"""The snippets of docs/ci.md: they parse, and their commands run up to where an engine is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PAGE = Path(__file__).parents[2] / "docs" / "ci.md"
BIN = Path(sys.executable).parent
NO_ENGINE = 3


def snippets() -> dict[str, Any]:
    """File name, as the snippet's first line says it, to what it holds."""
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return {name: yaml.safe_load(text) for name, text in blocks}


def scripts(value: Any) -> list[str]:
    """Each step's commands, as the CI makes a script of them."""
    if isinstance(value, dict):
        listed = value.get("commands") or value.get("script") or []
        own = value.get("run") if isinstance(value.get("run"), str) else "\n".join(listed)
        return ([own] if own else []) + [script for child in value.values() for script in scripts(child)]
    return [script for child in value for script in scripts(child)] if isinstance(value, list) else []


def event(tmp_path: Path, body: str) -> str:
    path = tmp_path / "event.json"
    issue = {"number": 7, "pull_request": {}}
    path.write_text(json.dumps({"action": "created", "issue": issue, "is_pull": True, "comment": {"body": body}}))
    return str(path)


def run(script: str, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("WARMCI_STATE_DIR", "WARMCI_DOCKER_HOST", "HOME") if name in os.environ}
    environ = {"PATH": f"{BIN}:/usr/bin:/bin", **kept, **variables}
    argv = ["/bin/sh", "-e", "-c", script]
    return subprocess.run(argv, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)


def reached_the_engine(done: subprocess.CompletedProcess[str], mode: str) -> None:
    assert done.returncode == NO_ENGINE, done.stderr
    assert "no Docker engine answers" in done.stderr
    assert f"INFRASTRUCTURE {mode} miniflux" in done.stderr


def test_every_ci_has_its_snippet() -> None:
    assert {name: len(scripts(value)) for name, value in snippets().items()} == {
        ".forgejo/workflows/warmci.yml": 1,
        ".woodpecker.yaml": 2,
        ".drone.yml": 1,
        ".github/workflows/warmci.yml": 1,
        ".gitlab-ci.yml": 1,
    }


@pytest.mark.parametrize("file", [".forgejo/workflows/warmci.yml", ".github/workflows/warmci.yml"])
@pytest.mark.parametrize(("body", "mode"), [("!testme", "cold"), ("!testme --quick", "quick")])
def test_a_comment_in_actions(file: str, body: str, mode: str, tmp_path: Path) -> None:
    (script,) = scripts(snippets()[file])
    done = run(
        script,
        tmp_path,
        GITHUB_ACTIONS="true",
        GITHUB_REPOSITORY="coop-cloud/miniflux",
        GITHUB_EVENT_NAME="issue_comment",
        GITHUB_REF="refs/heads/main",
        GITHUB_EVENT_PATH=event(tmp_path, body),
    )
    reached_the_engine(done, mode)


def test_another_comment_tests_nothing_and_says_so(tmp_path: Path) -> None:
    (script,) = scripts(snippets()[".forgejo/workflows/warmci.yml"])
    variables = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "x/miniflux", "GITHUB_EVENT_NAME": "issue_comment"}
    done = run(script, tmp_path, GITHUB_EVENT_PATH=event(tmp_path, "nice work"), **variables)
    assert (done.returncode, done.stdout) == (0, "no trigger, nothing is tested\n")
    assert not (tmp_path / "state-of-this-test").exists()


def test_a_job_that_cannot_ask_is_red(tmp_path: Path) -> None:
    (script,) = scripts(snippets()[".forgejo/workflows/warmci.yml"])
    assert run(script, tmp_path).returncode == 2
    assert run(script.replace("warmci trigger", "no-such-program"), tmp_path).returncode == 127


def test_woodpecker(tmp_path: Path) -> None:
    cold, quick = scripts(snippets()[".woodpecker.yaml"])
    variables = {"CI": "woodpecker", "CI_REPO_NAME": "miniflux", "CI_PIPELINE_EVENT": "pull_request"}
    reached_the_engine(run(cold, tmp_path, CI_COMMIT_PULL_REQUEST="7", **variables), "cold")
    reached_the_engine(run(quick, tmp_path, CI_COMMIT_PULL_REQUEST="7", **variables), "quick")


def test_drone(tmp_path: Path) -> None:
    (script,) = scripts(snippets()[".drone.yml"])
    variables = {"DRONE": "true", "DRONE_REPO_NAME": "miniflux", "DRONE_BUILD_EVENT": "push", "DRONE_BRANCH": "main"}
    reached_the_engine(run(script, tmp_path, **variables), "cold")


@pytest.mark.parametrize("request_number", ["7", ""])
def test_gitlab(request_number: str, tmp_path: Path) -> None:
    """The runner's checkout: detached at the commit, in a directory that is called as the project."""
    (script,) = scripts(snippets()[".gitlab-ci.yml"])
    checkout = tmp_path / "miniflux"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(checkout)]
    subprocess.run(["git", "init", "--quiet", str(checkout)], check=True, timeout=20)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message=x"], check=True, timeout=20)
    subprocess.run([*git, "switch", "--quiet", "--detach"], check=True, timeout=20)
    variables = {"CI_PROJECT_DIR": str(checkout), "CI_PROJECT_NAME": "miniflux", "CI_COMMIT_SHA": "0" * 40}
    reached_the_engine(run(script, tmp_path, CI_MERGE_REQUEST_IID=request_number, **variables), "cold")


@pytest.mark.parametrize("variables", [{"CHANGE_ID": "7", "BRANCH_NAME": "PR-7"}, {"BRANCH_NAME": "main"}])
def test_jenkins(variables: dict[str, str], tmp_path: Path) -> None:
    """Its shell runs; its Groovy is only seen to close what it opens."""
    (text,) = re.findall(r"```groovy\n// Jenkinsfile\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (script,) = re.findall(r"sh '''(.*?)'''", text, re.DOTALL)
    (recipe,) = re.findall(r"RECIPE = '(.*?)'", text)
    outside = text.replace(script, "")
    assert outside.count("{") == outside.count("}") > 0
    reached_the_engine(run(script, tmp_path, RECIPE=recipe, **variables), "cold")
