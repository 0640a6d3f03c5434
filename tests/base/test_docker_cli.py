"""Which Docker CLI is taken, and what is said when none is new enough."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from warmci.base import docker_cli
from warmci.base.errors import InfraError

Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a program that says a version on PATH (`bin/docker`) or among the built tools (`tools/docker-29.7.2`)."""
    monkeypatch.setattr(docker_cli, "TOOLS_DIR", tmp_path / "tools")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    docker_cli.find.cache_clear()

    def make(name: str, says: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture(autouse=True)
def forget() -> object:
    yield
    docker_cli.find.cache_clear()


def said(version: str) -> str:
    return f"Docker version {version}, build 5d6db84"


def test_the_one_on_path_where_it_is_current(install: Install) -> None:
    install("tools/docker-29.7.2", said("29.7.2"))
    path = install("bin/docker", said("28.2.2"))
    assert docker_cli.find(None) == docker_cli.DockerCli(path, (28, 2))


@pytest.mark.parametrize("old", [said("20.10.24+dfsg1"), said("27.5.1"), "podman version 4.3.1", ""])
def test_the_newest_built_one_where_that_on_path_is_old(install: Install, old: str) -> None:
    install("bin/docker", old)
    install("tools/docker-9.9", said("9.9"))
    install("tools/docker-28.0.1", said("28.0.1"))
    path = install("tools/docker-29.7.2", said("29.7.2"))
    assert docker_cli.find(None).path == path


def test_an_older_one_that_can_read_recipes_at_all(install: Install) -> None:
    path = install("bin/docker", said("24.0.9"))
    found = docker_cli.find(None)
    assert (found.path, found.is_current) == (path, False)


def test_the_setting_wins_and_must_be_right(install: Install) -> None:
    install("bin/docker", said("28.2.2"))
    own = install("own", said("23.0.6"))
    assert docker_cli.find(own).path == own
    with pytest.raises(InfraError, match=r"none/docker is none"):
        docker_cli.find(own.parent / "none" / "docker")


def test_what_is_wrong_with_each_is_said(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install("bin/docker", said("20.10.24+dfsg1"))
    with pytest.raises(InfraError, match=rf"from 23 on is needed: {path} is 20\.10"):
        docker_cli.find(None)
    monkeypatch.setenv("PATH", str(path.parent.parent))
    with pytest.raises(InfraError, match="none is on PATH") as caught:
        docker_cli.find(None)
    assert "scripts/install-tools engine" in str(caught.value.hint)
