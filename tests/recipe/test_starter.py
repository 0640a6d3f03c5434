"""A new recipe: complete or not at all, never over what is there, and called as it is asked to be."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from warmci.base.errors import UsageError
from warmci.recipe.starter import FIRST_RELEASE, make_recipe

if TYPE_CHECKING:
    from pathlib import Path


def git(path: Path, *arguments: str) -> str:
    argv = ["git", "-C", str(path), *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=10).stdout.strip()


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where nobody told git who they are."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")


def test_it_is_a_clean_repository_with_one_annotated_release(tmp_path: Path) -> None:
    repository, operator = make_recipe("guest-book", tmp_path / "here", tmp_path / "operator")
    assert (repository, operator) == (tmp_path / "here" / "guest-book", tmp_path / "operator" / "guest-book")
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "describe", "--exact-match") == FIRST_RELEASE
    assert {path.name for path in operator.iterdir()} == {"recipe.toml", "test_guest_book.py"}
    texts = [path.read_text() for path in (*repository.glob("*.*"), *operator.iterdir()) if path.is_file()]
    assert not any("@RECIPE@" in text for text in texts)
    assert f"version={FIRST_RELEASE}" in (repository / "compose.yml").read_text()
    assert "TYPE=guest-book" in (repository / ".env.sample").read_text()


@pytest.mark.parametrize("name", ["../x", "a/b", "Guest", "-x", "", "."])
def test_a_name_is_validated_before_it_is_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a recipe name"):
        make_recipe(name, tmp_path / "here", tmp_path / "operator")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("taken", ["here", "operator"])
def test_what_is_there_is_left_alone(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken / "demo").mkdir(parents=True)
    (tmp_path / taken / "demo" / "mine").write_text("x")
    with pytest.raises(UsageError, match=f"{taken}/demo is there already"):
        make_recipe("demo", tmp_path / "here", tmp_path / "operator")
    assert [path.name for path in tmp_path.rglob("*")] == [taken, "demo", "mine"]


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("a file")
    with pytest.raises(UsageError, match="here") as caught:
        make_recipe("demo", tmp_path / "here", tmp_path / "operator")
    assert "recipes_dir" in str(caught.value.hint)
    assert not (tmp_path / "operator" / "demo").exists()
