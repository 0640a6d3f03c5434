"""What a command's argument names: names, directories and URLs, and what is none of them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmci.base import names
from warmci.base.errors import UsageError
from warmci.recipe.named import Named, read_named

if TYPE_CHECKING:
    from pathlib import Path


def repository(path: Path, *more: str) -> Path:
    subprocess.run(["git", "init", "--quiet", *more, str(path)], check=True, timeout=10)
    return path


@pytest.mark.parametrize(
    ("argument", "recipe"),
    [
        ("https://git.example.org/me/guestbook.git", "guestbook"),
        ("https://git.example.org:8443/me/guestbook/", "guestbook"),
        ("ssh://git@example.org/me/guest-book.git", "guest-book"),
        ("file:///srv/git/guestbook.git", "guestbook"),
        ("git@example.org:me/guestbook.git", "guestbook"),
    ],
)
def test_a_url_names_the_recipe_by_its_last_part(argument: str, recipe: str) -> None:
    assert read_named(argument) == Named(recipe, argument)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("ext::sh -c id", "not a recipe name"),
        ("ext://x/demo", "not the URL of a git repository"),
        ("https://me:canary@example.org/demo.git", "login"),
        ("HTTPS://canary@example.org/demo.git", "login"),
        ("http://canary@example.org/demo.git", "login"),
        ("https://:can ary@example.org/demo.git", "login"),
        ("ssh://me:canary@example.org/demo.git", "login"),
        ("https://canary@[::1/demo", "not a URL"),
        ("https://example.org/", "names no recipe"),
        ("https://example.org/Demo.git", "names no recipe"),
        ("https://example.org/..", "names no recipe"),
        ("https://example.org/demo.git?x=1", "not the URL"),
        ("https://example.org/demo.git\n", "not the URL"),
        ("http://[::1/demo", "not a URL"),
        ("git@example.org:-oProxyCommand=x/demo", "no directory"),
        ("-u@example.org:me/demo", "no directory"),
        ("./missing", "no directory"),
        ("a/b\0c", "not a directory"),
        ("Demo", "not a recipe name"),
        ("", "not a recipe name"),
    ],
)
def test_what_names_nothing(argument: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read_named(argument)
    assert "canary" not in str(caught.value)


def test_a_directory_is_the_recipe_that_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = repository(tmp_path / "guestbook")
    expected = Named("guestbook", str(home))
    assert read_named(str(home)) == expected
    monkeypatch.chdir(home)
    assert read_named(".") == read_named("./") == read_named("../guestbook") == expected
    monkeypatch.chdir(tmp_path)
    assert read_named("./guestbook") == expected
    assert read_named("guestbook") == Named("guestbook"), "without a slash it is a name, whatever lies here"
    (tmp_path / "other-name").symlink_to(home)
    assert read_named("./other-name") == expected
    bare = repository(tmp_path / "bare.git", "--bare")
    assert read_named(str(bare)) == Named("bare", str(bare))


def test_a_directory_that_is_no_recipe(tmp_path: Path) -> None:
    (repository(tmp_path / "whole") / "part").mkdir()
    with pytest.raises(UsageError, match="only a part of the repository") as caught:
        read_named(str(tmp_path / "whole" / "part"))
    assert str(tmp_path / "whole") in str(caught.value.hint)
    (tmp_path / "plain").mkdir()
    with pytest.raises(UsageError, match="no git repository"):
        read_named(str(tmp_path / "plain"))
    with pytest.raises(UsageError, match="names no recipe"):
        read_named(str(repository(tmp_path / "Guest Book")))


@given(st.text(max_size=40) | st.from_regex(r"(https?|ssh|x)://[a-z@:/.%-]{0,30}", fullmatch=True))
def test_whatever_is_typed_the_name_is_one(argument: str) -> None:
    try:
        found = read_named(argument)
    except UsageError:
        return
    assert names.recipe_name(found.recipe) == found.recipe
    assert "\n" not in found.source
