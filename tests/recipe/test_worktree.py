"""A directory as a recipe: what is checked out, what is not committed, and whose filters never run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.upstream import Upstream
from warmci.base.errors import RecipeFailedError, UnverifiedError, UsageError
from warmci.base.settings import Settings
from warmci.recipe import worktree
from warmci.recipe.git import git
from warmci.recipe.repository import clone

if TYPE_CHECKING:
    from warmci.recipe.repository import Repository


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "forge" / "demo")


def cloned(tmp_path: Path, source: Path) -> Repository:
    work = tmp_path / "work"
    work.mkdir()
    return clone(Settings(state_dir=tmp_path / "state"), "demo", work, str(source))


def test_the_branch_that_is_checked_out_is_tested_and_main_is_what_promotes(tmp_path: Path, upstream: Upstream) -> None:
    first = upstream.commit("one", "1.0.0+1")
    upstream.git("switch", "--quiet", "--create", "feature")
    second = upstream.commit("two")
    found = cloned(tmp_path, upstream.path)
    assert found.source == str(upstream.path)
    assert (found.usual_ref(), found.default_ref()) == ("feature", "main")
    assert found.resolve(found.usual_ref()) == second
    assert (found.is_trusted(first), found.is_trusted(second)) == (True, False)


def test_a_url_is_the_repository_there_and_its_default_branch(tmp_path: Path, upstream: Upstream) -> None:
    head = upstream.commit("one", "1.0.0+1")
    upstream.git("branch", "other")
    (tmp_path / "work").mkdir()
    url = f"file://{upstream.path}"
    found = clone(Settings(state_dir=tmp_path / "state"), "demo", tmp_path / "work", url)
    assert (found.source, found.here, found.usual_ref()) == (url, "", "main")
    assert found.is_trusted(head)
    with pytest.raises(UsageError, match="unknown recipe demo: nothing at file://"):
        clone(Settings(state_dir=tmp_path / "state"), "demo", tmp_path / "none", f"{url}-not-there")


def test_a_detached_head_is_its_commit(tmp_path: Path, upstream: Upstream) -> None:
    upstream.commit("one", "1.0.0+1")
    upstream.git("switch", "--quiet", "--detach")
    head = upstream.commit("of a CI's checkout")
    found = cloned(tmp_path, upstream.path)
    assert found.resolve(found.usual_ref(), "12") == head
    assert not found.is_trusted(head)


def test_the_forges_default_branch_goes_before_main(tmp_path: Path, upstream: Upstream) -> None:
    upstream.commit("one")
    upstream.git("branch", "trunk")
    head = upstream.commit("only on main")
    upstream.git("update-ref", "refs/remotes/origin/trunk", head)
    upstream.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    found = cloned(tmp_path, upstream.path)
    assert found.default_ref() == "trunk"
    assert not found.is_trusted(head)


def test_of_two_branches_without_a_main_none_is_the_default(tmp_path: Path, upstream: Upstream) -> None:
    upstream.git("branch", "--move", "one")
    head = upstream.commit("one")
    upstream.git("branch", "two")
    found = cloned(tmp_path, upstream.path)
    assert not found.is_trusted(head)
    assert found.bases_for(head) == []
    with pytest.raises(UsageError, match="no default branch"):
        found.default_ref()


def test_the_only_branch_is_the_default(tmp_path: Path, upstream: Upstream) -> None:
    upstream.git("branch", "--move", "trunk")
    head = upstream.commit("one")
    assert cloned(tmp_path, upstream.path).is_trusted(head)


def test_what_is_not_committed_is_named_and_can_be_tested(tmp_path: Path, upstream: Upstream) -> None:
    (upstream.path / ".gitignore").write_text("*.log\n")
    (upstream.path / "gone").write_text("x")
    head = upstream.commit("one", "1.0.0+1")
    found = cloned(tmp_path, upstream.path)
    assert worktree.uncommitted(found.path, upstream.path, head) == []
    assert worktree.commit_as_it_is(found.path, upstream.path, head) == head
    (upstream.path / "compose.yml").write_text("services: {changed: {}}\n")
    (upstream.path / "gone").unlink()
    (upstream.path / "new").mkdir()
    (upstream.path / "new" / "a file").write_text("new")
    (upstream.path / "noise.log").write_text("x")
    assert sorted(worktree.uncommitted(found.path, upstream.path, head)) == ["compose.yml", "gone", "new/"]
    made = worktree.commit_as_it_is(found.path, upstream.path, head)
    tree = found.checkout(made)
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()) == [
        ".git",
        ".gitignore",
        "compose.yml",
        "new/a file",
    ]
    assert (tree / "compose.yml").read_text() == "services: {changed: {}}\n"
    assert [release.version for release in found.bases_for(made)] == ["1.0.0+1"]
    assert not found.is_trusted(made)
    assert upstream.git("status", "--porcelain") != "", "the directory itself stays as it was"
    assert upstream.git("rev-parse", "HEAD") == head


def test_filters_and_monitors_of_the_directory_do_not_run(tmp_path: Path, upstream: Upstream) -> None:
    (upstream.path / ".gitattributes").write_text("* filter=evil\n")
    head = upstream.commit("one")
    evil = f"touch {tmp_path}/pwned"
    for name in ("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "core.fsmonitor", "core.sshCommand"):
        upstream.git("config", name, evil)
    (upstream.path / "compose.yml").write_text("changed")
    found = cloned(tmp_path, upstream.path)
    assert worktree.uncommitted(found.path, upstream.path, head) == ["compose.yml"]
    found.checkout(worktree.commit_as_it_is(found.path, upstream.path, head))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("change", ["content", "commit", "none"])
def test_filters_of_a_repository_within_the_directory_do_not_run(
    tmp_path: Path, upstream: Upstream, change: str
) -> None:
    within = Upstream(upstream.path / "within")
    (within.path / ".gitattributes").write_text("* filter=evil\n")
    within.commit("one")
    head = upstream.commit("with a submodule", "1.0.0+1")
    assert upstream.git("ls-tree", head, "within").startswith("160000 commit ")
    for name in ("filter.evil.clean", "core.fsmonitor"):
        within.git("config", name, f"touch {tmp_path}/pwned")
    found = cloned(tmp_path, upstream.path)
    if change == "commit":
        within.git("update-ref", "HEAD", within.git("commit-tree", "-m", "two", "HEAD^{tree}"))
    elif change == "content":
        same_size = (within.path / "compose.yml").read_text()[::-1]
        (within.path / "compose.yml").write_text(same_size)
        os.utime(within.path / "compose.yml", (1, 1))
    assert worktree.commit_as_it_is(found.path, upstream.path, head) == head, "a submodule is not tested"
    (upstream.path / "new").write_text("x")
    made = worktree.commit_as_it_is(found.path, upstream.path, head)
    assert worktree.uncommitted(found.path, upstream.path, head) == ["new"]
    assert not (tmp_path / "pwned").exists()
    assert git("ls-tree", made, "within", cwd=found.path) == git("ls-tree", head, "within", cwd=found.path)


def test_a_commit_of_too_many_files_is_the_recipes_fault(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = upstream.commit("one")
    found = cloned(tmp_path, upstream.path)
    monkeypatch.setattr("warmci.recipe.git._OUTPUT_MAX", 60)
    with pytest.raises(RecipeFailedError, match="more than the 20000 files"):
        worktree.commit_as_it_is(found.path, upstream.path, head)


def test_a_submodule_that_became_files_or_is_gone(tmp_path: Path, upstream: Upstream) -> None:
    for name in ("file", "link", "gone", "full"):
        upstream.commit("x")
        upstream.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{name}")
        (upstream.path / name).mkdir()
    upstream.git("commit", "--quiet", "--message", "four")
    head = upstream.git("rev-parse", "HEAD")
    found = cloned(tmp_path, upstream.path)
    (upstream.path / "full" / "not git's to see").write_text("x")
    assert worktree.commit_as_it_is(found.path, upstream.path, head) == head
    for name in ("file", "link", "gone"):
        (upstream.path / name).rmdir()
    (upstream.path / "file").write_text("x")
    (upstream.path / "link").symlink_to("full")
    made = worktree.commit_as_it_is(found.path, upstream.path, head)
    modes = {line.split("\t")[1]: line.split()[0] for line in git("ls-tree", made, cwd=found.path).splitlines()}
    assert modes == {"compose.yml": "100644", "file": "100644", "link": "120000", "full": "160000"}


def test_nothing_committed_and_no_work_tree(tmp_path: Path, upstream: Upstream) -> None:
    with pytest.raises(UnverifiedError, match="demo is empty"):
        cloned(tmp_path, upstream.path)
    head = upstream.commit("one")
    upstream.git("clone", "--quiet", "--bare", ".", str(tmp_path / "demo.git"))
    with pytest.raises(UsageError, match="bare repository"):
        worktree.commit_as_it_is(upstream.path, Path(tmp_path / "demo.git"), head)


def test_many_changes_are_counted() -> None:
    assert worktree.told(list("abcdefg")) == "a, b, c, d, e and 2 more"
