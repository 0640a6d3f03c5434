"""A stand-in for La Suite Docs as in production: logins through Keycloak, and a migration too hard for aged data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from warmci.base.models import Ledger, Mode
from warmci.demo import images

if TYPE_CHECKING:
    from support.bench import Answer, Bench
    from warmci.sso import keycloak_app

pytestmark = pytest.mark.integration
RECIPE = "lasuite-docs"
LOST = 'column "title" of relation "core_document" contains null values'


@pytest.fixture(scope="module")
def docs(bench: Bench, live_provider: keycloak_app.Provider) -> Bench:
    """Its canonical has lived through both releases: seeded by the first, advanced over the second's migration."""
    needed = [tag for tag, image in images.IMAGES.items() if image.name in {"lasuite-docs", "nginx", "redis"}]
    images.provide_images(bench.engine, needed, images.default_cache_dir(), print)
    for ref in ("0.1.0+1.0.0", "0.2.0+1.1.0"):
        answer = bench.run(RECIPE, "--ref", ref)
        assert answer.code == 0, answer.stderr
    return bench


def test_an_advance_carries_people_and_documents_over_the_migration(docs: Bench) -> None:
    canonical = docs.store.load(RECIPE)
    assert canonical is not None
    assert [past.version for past in canonical.lineage] == ["0.1.0+1.0.0", "0.2.0+1.1.0"]
    assert docs.ledger() == Ledger()


def quick(docs: Bench, ref: str) -> Answer:
    before = docs.fingerprint(RECIPE)
    answer = docs.run(RECIPE, "--ref", ref, "--pr", "7", "--quick")
    assert docs.fingerprint(RECIPE) == before
    assert docs.ledger() == Ledger()
    assert answer.result.ran is Mode.QUICK
    return answer


def test_the_good_pull_request_passes_quick(docs: Bench) -> None:
    answer = quick(docs, "good")
    assert answer.code == 0, answer.stderr
    assert "mixed: Keycloak speaks http, the app https" in answer.result.deviations
    passed = [test.name for stage in answer.result.stages for test in stage.tests if test.outcome == "passed"]
    assert {
        "test_lasuite_docs::test_it_is_one_account_in_every_realm",
        "test_lasuite_docs::test_documents_are_kept",
    } <= {*passed}


def test_the_bad_one_fails_on_aged_data_and_says_why(docs: Bench) -> None:
    answer = quick(docs, "bad")
    assert answer.code == 1, answer.stderr
    assert LOST in f"{answer.result.summary}\n{answer.result.log_excerpt}"


@pytest.mark.long
def test_the_bad_one_passes_cold(docs: Bench) -> None:
    """Fresh data has no document without a title: that is why there is quick."""
    answer = docs.run(RECIPE, "--ref", "bad", "--pr", "8")
    assert answer.code == 0, answer.stderr
