"""Names that become paths, URLs and engine objects: what is let in, what is kept out, what follows from them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warmci.base import names, process
from warmci.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = (
    "",
    ".",
    "..",
    "../x",
    "a/../b",
    "/etc",
    "-rf",
    "--upload-pack=x",
    "a b",
    "a\nb",
    "a\n",
    "a\0",
    "ü",
    "$(x)",
    "a;b",
)


@pytest.mark.parametrize("value", ["a", "0", "custom-html", "n" * 63, "keycloak", "element.io", "a-"])
def test_recipe_names(value: str) -> None:
    assert names.recipe_name(value) == value


@pytest.mark.parametrize("value", [*HOSTILE, "Nextcloud", "a_b", "a.", ".a", "-a", "a/b", "n" * 64])
def test_refused_recipe_names(value: str) -> None:
    with pytest.raises(UsageError, match="not a recipe name") as caught:
        names.recipe_name(value)
    assert caught.value.exit_code == 2
    assert caught.value.hint


@pytest.mark.parametrize("value", [*HOSTILE, ".hidden", "a/b", "v" * 129])
def test_refused_volume_names(value: str) -> None:
    with pytest.raises(UsageError, match="not a volume name"):
        names.volume_name(value)


@pytest.mark.parametrize("value", [*HOSTILE, "a-", "A", "a.b", "a" * 64])
def test_refused_realm_names(value: str) -> None:
    with pytest.raises(UsageError, match="not a realm name"):
        names.realm_name(value)


def test_the_master_realm_is_never_ours() -> None:
    with pytest.raises(UsageError, match="master"):
        names.realm_name("master")
    assert names.realm_name("master-2") == "master-2"


@pytest.mark.parametrize("value", ["main", "1.2.3+4.5", "feature/x", "v1@2", "0123abcd", "fix/#12", "ü", "a" * 200])
def test_git_refs(value: str) -> None:
    assert names.git_ref(value) == value


NO_REFS = (
    "",
    "..",
    "../x",
    "a/../b",
    "/etc",
    "-rf",
    "--upload-pack=x",
    "a b",
    "a\n",
    "a\0",
    "main~1",
    "main^",
    "a:b",
    ":/x",
    "@{-1}",
)


@pytest.mark.parametrize(
    "value", [*NO_REFS, "*", "a.lock", "a.lock/b", "a/.b", "a//b", "a/", "a.", "\u202ea", "\u200ba", "r" * 201]
)
def test_refused_git_refs(value: str) -> None:
    with pytest.raises(UsageError, match="not a ref name"):
        names.git_ref(value)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*"a1.-/@{}~^:?*[\\+# é\t", "..", ".lock", "@{", "//"]), max_size=8).map("".join))
def test_a_ref_is_what_git_allows(value: str) -> None:
    done = process.run(["git", "check-ref-format", f"refs/heads/{value}"], timeout_s=10, check=False)
    allowed = done.returncode == 0 and not value.startswith("-")
    try:
        assert names.git_ref(value) == value
    except UsageError:
        assert not allowed
    else:
        assert allowed


@given(st.text(max_size=80))
@example("a/..")
def test_no_accepted_name_leaves_its_directory(value: str) -> None:
    checks: list[Callable[[str], str]] = [names.recipe_name, names.volume_name, names.realm_name, names.record_id]
    for check in checks:
        try:
            check(value)
        except UsageError:
            continue
        assert len(PurePosixPath("/base", value).parts) == 3
        assert value not in {".", ".."}
        assert not value.startswith("-")
        assert value.isascii()


@given(st.text(max_size=300))
def test_a_refusal_shows_the_value_in_one_short_line(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        names.recipe_name(f"/{value}")
    assert caught.value.message.isprintable()
    assert caught.value.message.replace("…", "").isascii()
    assert len(caught.value.message) < 120


def test_ids_are_valid_unique_and_sort_by_time() -> None:
    ids = [names.new_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert [names.record_id(one) for one in ids] == ids
    seconds = [one.partition("-")[0] for one in ids]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize(
    "value", ["20260102T030405Z-ABCDEF", "20260102T030405Z-abcde", "20260102T030405-abcdef", "live"]
)
def test_refused_ids(value: str) -> None:
    with pytest.raises(UsageError, match="not the id of a run"):
        names.record_id(value)


def test_long_stack_names_are_cut_and_stay_apart() -> None:
    assert names.stack_name("warm-x.example.org") == "warm-x_example_org"
    long = names.stack_name("a" * 40 + ".example.org")
    assert long.startswith("a" * 36 + "_")
    assert len(long) == names.STACK_NAME_MAX
    assert long != names.stack_name("a" * 40 + ".example.net")


@given(st.from_regex(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9-])?", fullmatch=True).filter(lambda name: ".." not in name))
def test_domains_are_host_names(recipe: str) -> None:
    assert names.recipe_name(recipe) == recipe
    for domain in (names.cold_domain(recipe, "ci.example"), names.canonical_domain(recipe, "ci.example")):
        assert domain.endswith(".ci.example")
        assert all(re.fullmatch(r"[a-z0-9-]+", label) for label in domain.split("."))
        assert domain[0].isalnum()
    assert "--" not in names.cold_domain("abc-d", "x")


def test_the_live_provider_has_a_domain_of_its_own() -> None:
    live = names.live_domain("x.example")
    assert live == "warm-keycloak.x.example"
    assert names.canonical_domain("keycloak", "x.example") != live
    assert names.canonical_domain("demo", "x.example") == "warm-demo.x.example"


@given(st.text(min_size=1), st.integers(1, 60000), st.integers(1, 5000))
def test_a_domain_asks_for_the_same_port_each_time(domain: str, first: int, count: int) -> None:
    ports = range(first, first + count)
    port = names.preferred_port(domain, ports)
    assert port in ports
    assert port == names.preferred_port(domain, ports)


def test_the_preferred_port_is_the_same_over_processes_and_releases() -> None:
    assert names.preferred_port("warm-demo.warmci.localhost", range(20000, 28000)) == 21121
