"""git on hostile repositories, by the real git: what is too large is refused before it is written."""

from __future__ import annotations

import os
import resource
import subprocess
from typing import TYPE_CHECKING

import pytest

from warmci.base import process
from warmci.base.errors import RecipeFailedError
from warmci.recipe import git as bounded_git
from warmci.recipe.checkout_files import FILE_MAX, inside
from warmci.recipe.git import git, require_small

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    run(path, "init", "--quiet", "--initial-branch=main")
    run(path, "config", "user.name", "x")
    run(path, "config", "user.email", "x@example.com")
    return path


def run(path: Path, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["git", *arguments], cwd=path, input=stdin, text=True, capture_output=True, check=True)
    return done.stdout.strip()


def commit(path: Path) -> str:
    run(path, "add", "--all")
    run(path, "commit", "--quiet", "--allow-empty", "--message=x")
    return run(path, "rev-parse", "HEAD")


def test_an_ordinary_recipe_is_small(repository: Path) -> None:
    (repository / "compose.yml").write_text("x")
    (repository / "link").symlink_to("/etc/passwd")
    require_small(repository, commit(repository))


def test_a_large_file_is_named(repository: Path) -> None:
    with (repository / "a\nb").open("wb") as file:
        file.truncate(bounded_git.FILE_MAX + 1)
    with pytest.raises(RecipeFailedError, match=r"a\nb has 33554433 bytes, a file of a recipe may have 33554432"):
        require_small(repository, commit(repository))


def test_all_files_together_count(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (repository / name).write_text("1234")
    head = commit(repository)
    monkeypatch.setattr(bounded_git, "TREE_MAX", 12)
    require_small(repository, head)
    monkeypatch.setattr(bounded_git, "TREE_MAX", 11)
    with pytest.raises(RecipeFailedError, match="12 bytes in its files, a recipe may have 11"):
        require_small(repository, head)


def tree_of(path: Path, entries: list[str]) -> str:
    return run(path, "mktree", stdin="\n".join(entries))


def test_a_tree_of_ten_thousand_million_files_is_refused_in_time(repository: Path) -> None:
    """https://kate.io/blog/git-bomb/: ten levels of ten entries, each the same tree."""
    blob = run(repository, "hash-object", "-w", "--stdin", stdin="x")
    tree = tree_of(repository, [f"100644 blob {blob}\tf{number}" for number in range(10)])
    for _ in range(9):
        tree = tree_of(repository, [f"040000 tree {tree}\td{number}" for number in range(10)])
    head = run(repository, "commit-tree", tree, "-m", "bomb")
    with pytest.raises(RecipeFailedError, match="more than the 20000 files"):
        require_small(repository, head)


def test_too_many_files(repository: Path) -> None:
    blob = run(repository, "hash-object", "-w", "--stdin", stdin="x")
    tree = tree_of(repository, [f"100644 blob {blob}\tf{number}" for number in range(20_001)])
    head = run(repository, "commit-tree", tree, "-m", "many")
    with pytest.raises(RecipeFailedError, match="20001 files"):
        require_small(repository, head)


def test_a_clone_that_is_too_large_is_the_repository_s_fault(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "random").write_bytes(os.urandom(3 * 2**20))
    commit(repository)
    monkeypatch.setitem(bounded_git._LIMITS, "fsize", (resource.RLIMIT_FSIZE, 2**20))
    with pytest.raises(RecipeFailedError, match="larger than"):
        git("clone", "--quiet", "--no-local", f"file://{repository}", str(tmp_path / "clone"))


def test_no_hook_filter_or_submodule_runs(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[filter "lfs"]\n\tsmudge = touch {ran}\n\trequired = true\n[core]\n\tfsmonitor = touch {ran}\n'
    )
    (repository / ".gitattributes").write_text("* filter=lfs\n")
    (repository / ".gitmodules").write_text(f'[submodule "s"]\n\tpath = s\n\turl = ext::sh -c "touch {ran}"\n')
    (repository / "file").write_text("x")
    head = commit(repository)
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    git("worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), head, cwd=repository)
    assert (tmp_path / "tree" / "file").read_text() == "x"
    assert not ran.exists()


@pytest.mark.parametrize("source", ["ext::sh -c 'touch x'", "fd::7", "gopher://example.com/x"])
def test_only_known_protocols(source: str, tmp_path: Path) -> None:
    with pytest.raises(process.CommandError, match="not allowed"):
        git("clone", "--", source, str(tmp_path / "clone"))


def test_links_that_lead_nowhere_or_out_and_files_that_are_too_large(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "loop").symlink_to("loop")
    (root / "out").symlink_to("/etc/passwd")
    (root / "device").symlink_to("/dev/zero")
    (root / "directory").mkdir()
    with (root / "large").open("wb") as file:
        file.truncate(FILE_MAX + 1)
    for name in ("loop", "out", "device", "directory", "large", "x" * 5000, "a/b"):
        with pytest.raises(RecipeFailedError):
            inside(root, name, what="file")


def test_a_failure_shows_its_fatal_line_and_not_gits_advice(tmp_path: Path) -> None:
    with pytest.raises(process.CommandError) as caught:
        git("clone", "--quiet", "--", f"file://{tmp_path}/nothing", str(tmp_path / "x"))
    assert "fatal: " in caught.value.message
    assert "the repository exists" not in caught.value.message
