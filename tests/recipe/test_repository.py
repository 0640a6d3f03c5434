"""A recipe's repository, with real git: refs, releases, trust, checkouts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.upstream import Upstream
from warmci.base import settings
from warmci.base.errors import InfraError, UnverifiedError, UsageError
from warmci.recipe.repository import Repository, clone, default_head, list_releases, version_key

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "forge" / "demo")


def cloned(tmp_path: Path, recipe: str = "demo", *, scheme: str = "") -> Repository:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return clone(settings_of(tmp_path, scheme), recipe, work)


def settings_of(tmp_path: Path, scheme: str = "") -> settings.Settings:
    return settings.load(recipe_source=f"{scheme}{tmp_path}/forge/{{recipe}}", state_dir=tmp_path / "state")


def test_branch_tag_and_commit_are_resolved(tmp_path: Path, upstream: Upstream) -> None:
    first = upstream.commit("one", "1.0.0+1")
    upstream.git("switch", "--quiet", "--create", "feature/x")
    second = upstream.commit("two")
    upstream.git("switch", "--quiet", "main")
    found = cloned(tmp_path)
    assert found.resolve("main") == first
    assert found.resolve("1.0.0+1") == first  # the commit, not the annotated tag's own object
    assert found.resolve("feature/x") == second
    assert found.resolve(second) == found.resolve(second[:9]) == second
    assert found.default_ref() == "main"
    assert found.contains(second)
    assert not found.contains("0" * 40)


@pytest.mark.parametrize("ref", ["nope", "0" * 40, "ORIG_HEAD", "FETCH_HEAD", "origin/main"])
def test_what_the_recipe_does_not_have_is_named(tmp_path: Path, upstream: Upstream, ref: str) -> None:
    upstream.commit("one")
    with pytest.raises(UsageError, match=f"demo has no branch, tag or commit {ref}") as caught:
        cloned(tmp_path).resolve(ref)
    assert str(upstream.path) in str(caught.value.hint)


def test_where_to_look_is_told_as_the_source_is_shown(tmp_path: Path, upstream: Upstream) -> None:
    upstream.commit("one")
    shown = Repository("demo", cloned(tmp_path).path, "https://example.org/demo.git")
    with pytest.raises(UsageError) as caught:
        shown.resolve("nope")
    assert caught.value.hint == "git ls-remote https://example.org/demo.git lists what there is"


@pytest.mark.parametrize("ref", ["--help", "-h", "--upload-pack=touch pwned", "main..main", "main^{tree}"])
def test_a_ref_is_never_an_option_or_an_expression(tmp_path: Path, upstream: Upstream, ref: str) -> None:
    upstream.commit("one")
    with pytest.raises(UsageError, match="not a ref name"):
        cloned(tmp_path).resolve(ref)


def test_a_pull_request_of_a_fork_is_found_by_its_number(tmp_path: Path, upstream: Upstream) -> None:
    upstream.commit("one")
    upstream.git("switch", "--quiet", "--detach")
    head = upstream.commit("of a fork")
    upstream.git("update-ref", "refs/pull/7/head", head)
    upstream.git("switch", "--quiet", "main")
    found = cloned(tmp_path, scheme="file://")  # as over the network: only what the branches reach comes along
    with pytest.raises(UsageError):
        found.resolve(head)
    assert found.resolve(head, pr="7") == head
    assert found.resolve("", pr="7") == head
    assert found.resolve("main", pr="7") == head, "a fork's branch may be called as one of ours"
    main = found.resolve("main")
    assert found.resolve("main", pr="8") == main != head
    assert found.resolve("main", pr="--upload-pack=x") == main
    for ref, pr in (("", "8"), ("", ""), (main, "7")):
        with pytest.raises(UsageError, match="pull request"):
            found.resolve(ref, pr=pr)


def test_a_history_without_releases_is_upgraded_to_from_the_newest(tmp_path: Path, upstream: Upstream) -> None:
    release = upstream.commit("one", "1.0.0+1")
    upstream.git("switch", "--quiet", "--orphan", "squashed")
    head = upstream.commit("all in one")
    upstream.git("switch", "--quiet", "main")
    base = cloned(tmp_path).base_for(head)
    assert base is not None
    assert base.commit == release


def test_a_branch_wins_over_a_tag_of_the_same_name_and_over_a_short_hash(tmp_path: Path, upstream: Upstream) -> None:
    first = upstream.commit("one")
    upstream.git("tag", "both")
    second = upstream.commit("two")
    upstream.git("branch", "both")
    for name in (first[:7], first[:8], first):
        upstream.git("branch", name, second)
    found = cloned(tmp_path)
    assert found.resolve("both") == second
    assert found.resolve(first[:7]) == found.resolve(first[:8]) == second
    assert found.resolve(first[:9]) == found.resolve(first) == first, "nothing shadows a whole hash"


def test_a_branch_with_a_releases_name_is_no_release(tmp_path: Path, upstream: Upstream) -> None:
    """Anybody who may push a branch could else put code into the base, which counts as released."""
    release = upstream.commit("one", "1.0.0+1")
    head = upstream.commit("two")
    upstream.git("switch", "--quiet", "--create", "1.0.0+1", release)
    stranger = upstream.commit("of a stranger")
    upstream.git("branch", "9.0.0+1", stranger)
    upstream.git("switch", "--quiet", "main")
    found = cloned(tmp_path)
    assert [(each.version, each.commit) for each in found.releases(head)] == [("1.0.0+1", release)]
    assert found.resolve("1.0.0+1") == release
    assert found.version_of(release) == "1.0.0+1"
    assert [each.commit for each in list_releases(settings_of(tmp_path), "demo")] == [release]


@pytest.mark.parametrize(
    "name", ["20241101", "deadbeef", "fix/#12", "feat(app)/ü", "user's-fix", "v1@2", "1.0.0", "a;b|c"]
)
def test_branches_of_all_names_that_git_allows(tmp_path: Path, upstream: Upstream, name: str) -> None:
    main = upstream.commit("one")
    upstream.git("switch", "--quiet", "--create", name)
    head = upstream.commit("two")
    upstream.git("switch", "--quiet", "--detach", "main")
    fork = upstream.commit("of a fork, on a branch of the same name")
    upstream.git("update-ref", "refs/pull/7/head", fork)
    upstream.git("switch", "--quiet", "main")
    found = cloned(tmp_path, scheme="file://")
    assert found.resolve(name) == found.resolve(name, pr="x1") == head != main
    assert found.resolve(name, pr="7") == fork


def test_a_forks_branch_of_digits_that_we_do_not_have(tmp_path: Path, upstream: Upstream) -> None:
    main = upstream.commit("one")
    upstream.git("update-ref", "refs/pull/7/head", main)
    found = cloned(tmp_path)
    assert found.resolve("20241101", pr="7") == main
    with pytest.raises(UsageError, match="no branch, tag or commit 20241101"):
        found.resolve("20241101")
    with pytest.raises(UsageError, match="no branch, tag or commit"):
        found.resolve("0" * 40, pr="7")


def test_tags_that_are_no_release_are_named(tmp_path: Path, upstream: Upstream) -> None:
    first = upstream.commit("one", "1.0.0+1")
    head = upstream.commit("two", "1.1.0", "v1.2.0+1", "1.2.3+4", f"1.{'9' * 5000}.0+1"[:200])
    found = cloned(tmp_path)
    assert found.passed_over(first) == []
    (said,) = found.passed_over(head)
    assert said.startswith("tags that are no release (x.y.z+upstream) are passed over: ")
    assert all(name in said for name in ("1.1.0", "v1.2.0+1"))
    assert "1.2.3+4" not in said
    for number in range(9):
        upstream.git("tag", f"old-{number}")
    (tmp_path / "again").mkdir()
    assert clone(settings_of(tmp_path), "demo", tmp_path / "again").passed_over(head)[0].endswith(" and 7 more")


def test_the_base_is_what_people_run_today(tmp_path: Path, upstream: Upstream) -> None:
    plain = upstream.commit("before all releases")
    first = upstream.commit("one", "1.9.0+1", "not-a-release", "v1.9.1")
    second = upstream.commit("two", "1.10.0+1")
    head = upstream.commit("unreleased")
    found = cloned(tmp_path)
    assert [release.version for release in found.releases(head)] == ["1.9.0+1", "1.10.0+1"]
    assert [release.commit for release in found.releases(head)] == [first, second]
    base = found.base_for(head)
    assert base is not None
    assert (base.version, base.commit) == ("1.10.0+1", second)
    assert found.base_for(first) is None
    assert found.base_for(plain) is None
    assert [found.version_of(commit) for commit in (second, head)] == ["1.10.0+1", head[:8]]


def test_a_release_under_test_is_not_its_own_base(tmp_path: Path, upstream: Upstream) -> None:
    first = upstream.commit("one", "1.9.0+1")
    head = upstream.commit("two", "1.10.0+1", "1.10.0+1.1")
    base = cloned(tmp_path).base_for(head)
    assert base is not None
    assert base.commit == first


def test_a_release_off_the_heads_history_is_no_base(tmp_path: Path, upstream: Upstream) -> None:
    first = upstream.commit("one", "1.0.0+1")
    upstream.git("switch", "--quiet", "--create", "next")
    upstream.commit("two", "2.0.0+2")
    upstream.git("switch", "--quiet", "--create", "pr", "main")
    head = upstream.commit("fix")
    base = cloned(tmp_path).base_for(head)
    assert base is not None
    assert base.commit == first


def test_an_older_release_tagged_later_is_a_base_only_of_newer_ones(tmp_path: Path, upstream: Upstream) -> None:
    upstream.commit("one", "2.0.0+1")
    head = upstream.commit("backport", "1.0.1+1")
    assert cloned(tmp_path).base_for(head) is None


def test_only_the_default_branch_is_trusted(tmp_path: Path, upstream: Upstream) -> None:
    first = upstream.commit("one")
    second = upstream.commit("two")
    upstream.git("switch", "--quiet", "--create", "pr", first)
    head = upstream.commit("of a stranger")
    upstream.git("switch", "--quiet", "main")
    found = cloned(tmp_path)
    assert [found.is_trusted(commit) for commit in (first, second, head)] == [True, True, False]
    assert not found.is_trusted("0" * 40)


def test_a_repository_without_a_default_branch_says_so(tmp_path: Path, upstream: Upstream) -> None:
    upstream.commit("one")
    upstream.git("checkout", "--quiet", "--detach")
    upstream.commit("of no branch")
    found = cloned(tmp_path)
    with pytest.raises(UsageError, match="no default branch") as caught:
        found.default_ref()
    assert "--ref" in str(caught.value.hint)


def test_an_unknown_recipe(tmp_path: Path, upstream: Upstream) -> None:
    upstream.commit("one")
    with pytest.raises(UsageError, match=r"unknown recipe other: nothing at .*/forge/other") as caught:
        cloned(tmp_path, "other")
    assert "recipe_source" in str(caught.value.hint)
    with pytest.raises(UsageError, match="not a recipe name"):
        cloned(tmp_path, "../demo")


def test_the_first_source_that_has_the_recipe_is_taken(tmp_path: Path) -> None:
    own, shared = Upstream(tmp_path / "own" / "mine"), Upstream(tmp_path / "shared" / "theirs")
    mine, theirs = own.commit("mine", "1.0.0+1"), shared.commit("theirs", "2.0.0+1")
    Upstream(tmp_path / "shared" / "mine").commit("shadowed")
    (tmp_path / "own" / "theirs").mkdir()  # a directory is no repository
    sources = (f"{tmp_path}/own/{{recipe}}", f"{tmp_path}/shared/{{recipe}}")
    asked = settings.Settings(state_dir=tmp_path / "state", recipe_source=sources)
    for recipe, head, version in (("mine", mine, "1.0.0+1"), ("theirs", theirs, "2.0.0+1")):
        work = tmp_path / recipe
        work.mkdir()
        found = clone(asked, recipe, work)
        assert found.resolve("main") == head == default_head(asked, recipe)
        assert [release.version for release in list_releases(asked, recipe)] == [version]
        assert found.source == f"{tmp_path}/{'own' if recipe == 'mine' else 'shared'}/{recipe}"
    with pytest.raises(UsageError, match=f"nothing at {tmp_path}/own/none, {tmp_path}/shared/none"):
        clone(asked, "none", tmp_path / "work")


def test_a_source_that_does_not_answer_is_not_passed_over(tmp_path: Path) -> None:
    Upstream(tmp_path / "shared" / "demo").commit("of somebody else")
    sources = ("http://me:canary@127.0.0.1:9/{recipe}", f"{tmp_path}/shared/{{recipe}}")
    asked = settings.Settings(state_dir=tmp_path / "state", recipe_source=sources)
    with pytest.raises(InfraError, match=r"demo cannot be cloned from http://127\.0\.0\.1:9/demo") as caught:
        clone(asked, "demo", tmp_path / "work")
    assert "canary" not in f"{caught.value} {caught.value.hint}"


def test_an_empty_repository_verifies_nothing(tmp_path: Path, upstream: Upstream) -> None:
    with pytest.raises(UnverifiedError, match="demo is empty"):
        cloned(tmp_path)


def test_each_commit_has_a_work_tree_of_its_own(tmp_path: Path, upstream: Upstream) -> None:
    first, second = upstream.commit("one"), upstream.commit("two")
    found = cloned(tmp_path)
    trees = [found.checkout(commit) for commit in (first, second, first)]
    assert [(tree / "compose.yml").read_text(encoding="utf-8").split("\n")[0] for tree in trees] == [
        "# one",
        "# two",
        "# one",
    ]
    assert trees[0] == trees[2] != trees[1]


def test_hooks_of_the_operators_templates_do_not_run(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = upstream.commit("one")
    home = tmp_path / "home"
    hook = home / "templates" / "hooks" / "post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/pwned\n", encoding="utf-8")
    hook.chmod(0o755)
    (home / ".gitconfig").write_text(f"[init]\n\ttemplateDir = {home}/templates\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(home))
    found = cloned(tmp_path)
    assert (found.path / ".git" / "hooks" / "post-checkout").exists()
    found.checkout(head)
    assert not (tmp_path / "pwned").exists()


def test_a_repository_of_another_user_is_readable(tmp_path: Path, upstream: Upstream) -> None:
    head = upstream.commit("one")
    for path in [upstream.path, *upstream.path.rglob("*")]:
        os.chown(path, 12345, 12345)
    found = cloned(tmp_path)
    assert found.resolve("main") == head
    upstream.git("-c", f"safe.directory={upstream.path}", "update-ref", "refs/pull/7/head", head)
    found.resolve("main", pr="7")
    assert found.contains("refs/warmci/pull/7")


def test_versions_are_ordered_by_number() -> None:
    versions = ["10.0.0+1", "9.0.0+1", "9.0.0+0", "9.10.0+1", "9.9.9+1", "main"]
    assert sorted(versions, key=version_key) == ["main", "9.0.0+0", "9.0.0+1", "9.9.9+1", "9.10.0+1", "10.0.0+1"]


@given(st.lists(st.tuples(*[st.integers(0, 10**6)] * 3), min_size=2, max_size=8))
def test_the_recipes_own_part_decides(numbers: list[tuple[int, int, int]]) -> None:
    texts = [f"{one}.{two}.{three}+x" for one, two, three in numbers]
    assert [version_key(text)[:3] for text in sorted(texts, key=version_key)] == sorted(numbers)


def test_releases_are_listed_without_a_clone(tmp_path: Path, upstream: Upstream) -> None:
    first = upstream.commit("one", "1.0.0+1")
    second = upstream.commit("two", "1.10.0+1", "no-release")
    third = upstream.commit("three", "1.9.0+1")
    upstream.git("tag", "--annotate", "--message=x", "2.0.0+1", third)
    found = list_releases(settings_of(tmp_path), "demo")
    assert [(release.version, release.commit) for release in found] == [
        ("1.0.0+1", first),
        ("1.9.0+1", third),
        ("1.10.0+1", second),
        ("2.0.0+1", third),
    ]


def test_release_notes(tmp_path: Path, upstream: Upstream) -> None:
    (upstream.path / "release").mkdir()
    (upstream.path / "release" / "1.0.0+1").write_text("Move the volume by hand.\n")
    upstream.git("add", "--all")
    head = upstream.commit("one", "1.0.0+1")
    repository = cloned(tmp_path)
    assert repository.release_note(head, "1.0.0+1") == "Move the volume by hand."
    assert repository.release_note(head, "1.0.1+1") == ""


def test_releases_of_an_unknown_recipe(tmp_path: Path, upstream: Upstream) -> None:
    with pytest.raises(InfraError, match="releases of nothing cannot be listed: unknown recipe nothing: nothing at"):
        list_releases(settings_of(tmp_path), "nothing")


def test_releases_name_commits_whatever_kind_of_tag_they_have(tmp_path: Path, upstream: Upstream) -> None:
    first = upstream.commit("one", "1.0.0+1")  # an annotated one
    second = upstream.commit("two")
    upstream.git("tag", "1.1.0+1")  # the commit's own name
    third = upstream.commit("three")
    upstream.git("tag", "--annotate", "--message=inner", "inner")
    upstream.git("tag", "--annotate", "--message=outer", "1.2.0+1", "inner")  # a tag of a tag
    found = cloned(tmp_path)
    assert [(each.version, each.commit) for each in found.releases(third)] == [
        ("1.0.0+1", first),
        ("1.1.0+1", second),
        ("1.2.0+1", third),
    ]
    assert [each.version for each in found.releases(second)] == ["1.0.0+1", "1.1.0+1"]


def test_a_tag_with_what_others_take_for_a_line_break_is_only_an_odd_name(tmp_path: Path, upstream: Upstream) -> None:
    first = upstream.commit("one", "1.0.0+1")
    for odd in ("a\u2028b", "a\u0085b", "a\u2029b"):
        upstream.git("tag", odd)
    found = cloned(tmp_path)
    assert [(each.version, each.commit) for each in found.releases(first)] == [("1.0.0+1", first)]
    assert "a\u2028b" in found.passed_over(first)[0]
