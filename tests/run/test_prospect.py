"""What would come of a green cold run, for each kind of canonical that it may find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.trees import canonical_of, save
from support.upstream import Upstream
from warmci.base.models import Canonical, Ingress, Mode
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.recipe.repository import Repository, clone
from warmci.report.history import CANONICAL_IS_HEAD
from warmci.run.context import Request
from warmci.run.prospect import Prospect, as_found, prospect
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    upstream = Upstream(tmp_path / "forge" / "demo")
    upstream.commit("first", "1.0.0+1")
    upstream.commit("second")
    upstream.git("switch", "--quiet", "--create", "aside", "HEAD^")
    upstream.commit("aside")
    upstream.git("switch", "--quiet", "main")
    settings = Settings.model_validate({"state_dir": tmp_path, "recipe_source": f"{tmp_path}/forge/{{recipe}}"})
    (tmp_path / "work").mkdir()
    return clone(settings, "demo", tmp_path / "work")


@pytest.fixture
def store(tmp_path: Path) -> CanonicalStore:
    return CanonicalStore(open_state(tmp_path / "state", floor_bytes=0).dir)


def canonical(store: CanonicalStore, repository: Repository, ref: str, **changes: Any) -> Canonical:
    values = {"commit": repository.resolve(ref), "source": repository.source, "scheme": "https", **changes}
    return canonical_of(save(store.dir), **values)


def asked(repository: Repository, found: Canonical | None, *, trusted: bool = True, **request: Any) -> Prospect:
    wanted = Request("demo", Mode.COLD, **request)
    head = repository.resolve("main")
    return prospect(found, wanted, repository, head, trusted=trusted, kind=Ingress.DIRECT, scheme="https")


@pytest.mark.parametrize(
    ("ref", "changes", "action", "reason"),
    [
        ("1.0.0+1", {}, "advance", ""),
        ("main", {}, "none", CANONICAL_IS_HEAD),
        ("aside", {}, "none", "not part of the head's history"),
        ("1.0.0+1", {"state": "dirty", "reason": "x"}, "seed", "the canonical is dirty"),
        ("1.0.0+1", {"scheme": "http"}, "seed", "born at a URL of http"),
        ("1.0.0+1", {"ingress": "traefik"}, "seed", "born under ingress traefik"),
        ("1.0.0+1", {"source": "/elsewhere"}, "advance", ""),  # by its name it is wherever that has moved to
        ("main", {"source": "/elsewhere", "commit": "1" * 40}, "seed", "the canonical is that of /elsewhere"),
    ],
)
def test_by_its_name(
    store: CanonicalStore, repository: Repository, ref: str, changes: dict[str, str], action: str, reason: str
) -> None:
    coming = asked(repository, canonical(store, repository, ref, **changes))
    assert (coming.action, bool(coming.reason)) == (action, bool(reason))
    assert reason in coming.reason


def test_none_yet_and_afresh(store: CanonicalStore, repository: Repository) -> None:
    assert asked(repository, None) == Prospect("seed")
    dirty = canonical(store, repository, "aside", state="dirty", reason="x", source="/elsewhere")
    assert asked(repository, dirty, reseed=True) == Prospect("seed")


def test_what_can_become_no_canonical(store: CanonicalStore, repository: Repository) -> None:
    for found in (None, canonical(store, repository, "aside", scheme="http")):
        assert asked(repository, found, trusted=False) == Prospect("none", "not trusted code")
        assert asked(repository, found, trusted=False, worktree=True) == Prospect("none", "not committed")
        assert "--keep" in asked(repository, found, keep="always").reason
        assert asked(repository, found, keep="failure").action == "seed"


def test_a_directory_moves_no_canonical_of_another_repository(store: CanonicalStore, repository: Repository) -> None:
    found = canonical(store, repository, "main", source="/elsewhere", scheme="http", state="dirty", reason="x")
    coming = asked(repository, found, source=repository.source)
    assert (coming.action, coming.hint) == ("none", "--reseed replaces it")
    assert "that of /elsewhere" in coming.reason
    assert asked(repository, found, source=repository.source, reseed=True).action == "seed"


def test_a_damaged_canonical_counts_as_dirty_and_nothing_is_written(store: CanonicalStore) -> None:
    assert as_found(store, "demo") is None
    good = canonical_of(save(store.dir))
    store.commit(good)
    assert as_found(store, "demo") == good
    manifest = snapshot.snapshot_dir(store.dir, "demo", good.snapshot) / "manifest.json"
    manifest.write_text(manifest.read_text().replace("content", "c0ntent"))
    found = as_found(store, "demo")
    assert found is not None
    assert (found.state, "not the one that was committed" in found.reason) == ("dirty", True)
    assert store.load("demo") == good
