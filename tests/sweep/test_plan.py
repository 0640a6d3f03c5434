"""The order of a sweep, what history says, and the verdict at the end; without an engine."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.sweep_results import DAY, NOW, result
from warmci.base.models import EXIT_CODES, Mode, Promotion, Verdict
from warmci.base.names import new_id
from warmci.report.history import CANONICAL_IS_HEAD, History, history_of
from warmci.report.past import Past, read_past
from warmci.report.sweep_html import as_html
from warmci.report.sweep_record import Sweep, SweepItem, load_sweeps, save_sweep, sweep_dir, unfinished
from warmci.sweep.plan import Candidate, order
from warmci.sweep.verdict import judge

if TYPE_CHECKING:
    from pathlib import Path


# --- history


def test_history_is_of_cold_runs_of_trusted_code() -> None:
    moved = Promotion(action="advance", outcome="ok")
    known = [
        result(started=NOW - 5 * DAY, seconds=30, promotion=moved),
        result(started=NOW - 4 * DAY, seconds=90, head_commit="b" * 40),
        result(Verdict.FAIL, started=NOW - 3 * DAY, seconds=120),
        result(Verdict.INFRA, started=NOW - 2 * DAY, seconds=9999),
        result(started=NOW - DAY, trusted=False),
        result(started=NOW - DAY, ran=Mode.QUICK),
        result(started=NOW - DAY, recipe="other"),
        result(started=NOW - DAY / 2, requested=Mode.DRILL, ran=Mode.DRILL),
    ]
    found = history_of("demo", map(Past.of, known))
    assert found == History(
        recipe="demo",
        last_green=NOW - 4 * DAY,
        last_green_commit="b" * 40,
        last_promoted=NOW - 5 * DAY,
        minutes=1.5,
        failure_rate=0.33,
        last_drill=NOW - DAY / 2,
    )
    settled = result(started=NOW, promotion=Promotion(action="none", outcome="skipped", reason=CANONICAL_IS_HEAD))
    assert history_of("demo", map(Past.of, [*known, settled])).last_promoted == NOW
    assert history_of("demo", []) == History(recipe="demo")


def test_results_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    good = result()
    for name, text in ((good.run, good.model_dump_json()), (new_id(), "{"), (new_id(), "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text)
    (tmp_path / new_id()).mkdir()
    assert read_past(tmp_path) == [Past.of(good)]


# --- order


def test_what_was_postponed_comes_first() -> None:
    long = Candidate(
        History(recipe="long", last_green=NOW, last_green_commit="same", minutes=600), "same", postponed=True
    )
    assert [planned.recipe for planned in order([candidate("a", 3, head="new"), long], NOW)] == ["long", "a"]


def candidate(
    recipe: str, age: float | None = 1.0, *, head: str = "same", minutes: float = 5, red: float = 0
) -> Candidate:
    green = None if age is None else NOW - age * DAY
    return Candidate(
        History(recipe=recipe, last_green=green, last_green_commit="same", minutes=minutes or None, failure_rate=red),
        head,
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (candidate("b", 3), candidate("a", 1)),
        (candidate("b", head="new"), candidate("a")),
        (candidate("b", minutes=2), candidate("a", minutes=9)),
        (candidate("b", red=0.5), candidate("a")),
        (candidate("b", None), candidate("a", 9)),
        (candidate("a"), candidate("b")),
    ],
)
def test_what_comes_first(first: Candidate, second: Candidate) -> None:
    recipes = [first.history.recipe, second.history.recipe]
    assert [planned.recipe for planned in order([second, first], NOW)] == recipes
    assert [planned.recipe for planned in order([first, second], NOW)] == recipes


def test_reasons() -> None:
    (planned,) = order([candidate("a", 2.5, head="new", minutes=3, red=0.25)], NOW)
    assert planned.reason == "green 2.5 days ago, changed since, about 3.0 min, 25% red lately"
    (planned,) = order([candidate("a", None, head="", minutes=0)], NOW)
    assert planned.reason == "never green, head not known, length not known, 0% red lately"


ages = st.one_of(st.none(), st.floats(-1, 400))


@given(st.lists(st.tuples(ages, st.booleans(), st.floats(0, 300), st.floats(0, 1)), max_size=8))
def test_every_recipe_has_its_place_and_grows_older(facts: list[tuple[float | None, bool, float, float]]) -> None:
    candidates = [
        candidate(f"r{n}", age, head="new" if changed else "same", minutes=minutes, red=red)
        for n, (age, changed, minutes, red) in enumerate(facts)
    ]
    today = order(candidates, NOW)
    assert sorted(item.recipe for item in today) == sorted(c.history.recipe for c in candidates)
    later = {item.recipe: item.score for item in order(candidates, NOW + 10 * DAY)}
    assert all(later[item.recipe] >= item.score for item in today)


# --- record


def item(recipe: str, verdict: Verdict | None = Verdict.PASS, **more: Any) -> SweepItem:
    facts: dict[str, Any] = {"recipe": recipe, "reason": "r", "state": "done", "verdict": verdict}
    facts |= {"exit_code": EXIT_CODES[verdict]} if verdict else {}
    return SweepItem.model_validate({**facts, **more})


def sweep(*items: SweepItem, **more: Any) -> Sweep:
    return Sweep.model_validate({"id": new_id(), "started": NOW, "max_tests": 2, "items": items, **more})


def test_a_stopped_sweep_is_found_again_for_a_while(tmp_path: Path) -> None:
    assert unfinished(tmp_path, NOW) is None
    stopped = sweep(item("a"), item("b", None, state="running"))
    save_sweep(tmp_path, stopped)
    assert unfinished(tmp_path, NOW + timedelta(hours=19)) == stopped
    assert unfinished(tmp_path, NOW + timedelta(hours=21)) is None
    save_sweep(tmp_path, stopped.model_copy(update={"finished": NOW}))
    assert unfinished(tmp_path, NOW) is None
    assert sweep_dir(tmp_path, stopped.id).stat().st_mode & 0o777 == 0o700
    future = sweep().model_copy(update={"started": NOW + 9 * DAY, "finished": NOW + 9 * DAY})
    save_sweep(tmp_path, future)
    save_sweep(tmp_path, stopped)
    assert unfinished(tmp_path, NOW) == stopped, "a clock that ran ahead hides nothing"
    (sweep_dir(tmp_path, stopped.id) / "sweep.json").write_text("{")
    assert load_sweeps(tmp_path) == [future], "one that is torn stops nobody"
    assert unfinished(tmp_path, NOW) is None


# --- verdict


@pytest.mark.parametrize(
    ("done", "code", "words"),
    [
        (sweep(item("a"), item("b")), 0, "2 of 2 recipes green"),
        (sweep(item("a"), item("b", Verdict.FAIL, summary="boom")), 1, "red: b (boom)"),
        (sweep(item("a", Verdict.INFRA), item("b", Verdict.FAIL)), 1, "no verdict: a"),
        (sweep(item("a", Verdict.INFRA), item("b")), 3, "1 of 2 recipes green; no verdict: a"),
        (sweep(item("a", Verdict.BUSY)), 3, "no verdict: a"),
        (sweep(item("a", Verdict.PROMOTION_FAILED), item("b")), 3, "2 of 2 recipes green; promotion failed: a"),
        (sweep(item("a", Verdict.UNVERIFIED), item("b")), 6, "not verified: a"),
        (sweep(item("a", None, state="postponed"), item("b")), 6, "postponed: a"),
        (sweep(item("a"), troubles=("prune: no",)), 3, "prune: no"),
        (sweep(item("a"), drill=item("b", Verdict.BUSY)), 3, "rollback drill of b: busy"),
        (sweep(item("a"), drill=item("b", Verdict.ROLLBACK_FAILED)), 1, "rollback drill of b"),
        (sweep(item("a"), drill=item("b", Verdict.UNVERIFIED)), 6, "rollback drill of b: unverified"),
        (sweep(item("a", None, state="postponed")), 6, "nothing was swept"),
        (sweep(), 6, "no recipe is enrolled"),
        (sweep(item("a"), stale=("a",)), 6, "not promoted for too long: a"),
        (sweep(item("a"), keycloak="it is down", keycloak_ok=False), 3, "Keycloak: it is down"),
        (sweep(item("a"), drill=item("b", Verdict.FAIL, summary="no boot")), 1, "rollback drill of b: no boot"),
        (sweep(item("a"), drill=item("b", Verdict.INFRA)), 3, "rollback drill of b: infrastructure"),
        (sweep(item("a"), drill=item("b")), 0, "1 of 1 recipes green"),
    ],
)
def test_verdicts(done: Sweep, code: int, words: str) -> None:
    found, said = judge(done)
    assert found == code, said
    assert words in said


verdicts = st.lists(st.sampled_from(Verdict), max_size=6)


@given(verdicts, st.booleans(), st.booleans())
def test_green_means_that_all_is_well(found: list[Verdict], stale: bool, keycloak: bool) -> None:
    items = [item(f"r{n}", verdict) for n, verdict in enumerate(found)]
    code, _ = judge(sweep(*items, stale=("r0",) if stale else (), keycloak_ok=keycloak))
    well = bool(found) and set(found) == {Verdict.PASS} and not stale and keycloak
    assert (code == 0) == well
    if set(found) & {Verdict.FAIL, Verdict.ROLLBACK_FAILED}:
        assert code == 1


def test_the_page_escapes_what_recipes_say() -> None:
    bad = item("demo", Verdict.FAIL, summary="<script>alert(1)</script>")
    page = as_html(sweep(bad, item("other"), verdict="1 of 2 <b>", exit_code=1, finished=NOW))
    assert "<script>" not in page
    assert "1 of 2 &lt;b&gt;" in page
    assert page.count("<tr>") == 3  # the heads, and two recipes
