"""What the reconciler decides, without a Keycloak."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmci.live.plan import Action, Known, plan
from warmci.recipe.repository import Release

NOW = Release("1.0.0+26.7.3", "a" * 40)
NEXT = Release("1.0.1+26.7.4", "b" * 40)


def known(*, serves: bool = True, version: str = NOW.version, **failed: str) -> Known:
    return Known(version, NOW.commit, serves, {name.replace("_", "."): reason for name, reason in failed.items()})


def test_none_yet() -> None:
    assert plan(None, [NOW], {}, "").action is Action.DEPLOY


def test_as_wanted() -> None:
    assert plan(known(), [NOW], {}, "").action is Action.UNCHANGED
    assert plan(known(serves=False), [NOW], {}, "").action is Action.START


@pytest.mark.parametrize("serves", [True, False])
def test_a_plain_newer_release_is_taken(serves: bool) -> None:
    made = plan(known(serves=serves), [NOW, NEXT], {NEXT.version: "Faster logins. Deploy as usual."}, "")
    assert (made.action, made.target, made.start) == (Action.UPGRADE, NEXT, False)


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("2.0.0+26.7.4", "major version of the recipe: 1.0.0+26.7.3 → 2.0.0+26.7.4"),
        ("1.1.0+27.0.0", "major version of the software: 1.0.0+26.7.3 → 1.1.0+27.0.0"),
        ("0.9.0+26.7.3", "it is older than 1.0.0+26.7.3, whose data it may not understand"),
    ],
)
def test_held_for_its_version(version: str, reason: str) -> None:
    wanted = Release(version, NEXT.commit)
    made = plan(known(), [wanted], {}, "")
    assert (made.action, made.held, made.because, made.start) == (Action.HOLD, wanted, reason, False)
    assert plan(known(serves=False), [wanted], {}, "").start
    assert plan(known(), [wanted], {}, version).action is Action.UPGRADE
    assert plan(known(), [wanted], {}, "1.0.1+26.7.4").action is Action.HOLD


@pytest.mark.parametrize(
    "note",
    [
        "BREAKING: set KC_X first",
        "Run the migration by hand",
        "A manual step is needed",
        "Manually move the volume",
        "Do a pg_dump",
        "Before you upgrade, stop all clients",
        "before upgrading: back up",
        "Action required!",
        "You must migrate the data",
    ],
)
def test_held_for_its_release_notes(note: str) -> None:
    between = [Release("1.0.1+26.7.3", "c" * 40), NEXT]
    made = plan(known(), between, {"1.0.1+26.7.3": f"# Notes\n\n  {note}\n"}, "")
    assert (made.action, made.held) == (Action.HOLD, NEXT)
    assert made.because == f"release notes of 1.0.1+26.7.3: {note}"


def test_notes_of_releases_that_are_not_on_the_way_do_not_count() -> None:
    assert plan(known(), [NOW, NEXT], {"1.0.0+26.7.3": "BREAKING"}, "").action is Action.UPGRADE


def test_what_was_rolled_back_is_not_tried_again_by_itself() -> None:
    before = Known(NOW.version, NOW.commit, True, {NEXT.version: "it never became healthy"})
    made = plan(before, [NOW, NEXT], {}, "")
    assert (made.action, made.because) == (Action.HOLD, "it was rolled back: it never became healthy")
    assert plan(before, [NOW, NEXT], {}, NEXT.version).action is Action.UPGRADE
    newer = Release("1.0.2+26.7.4", "d" * 40)
    assert plan(before, [NOW, NEXT, newer], {}, "").target == newer


def test_a_held_major_does_not_hold_the_plain_ones_before_it() -> None:
    major = Release("2.0.0+26.7.3", "e" * 40)
    made = plan(known(), [NOW, NEXT, major], {}, "")
    assert (made.action, made.target, made.held) == (Action.UPGRADE, NEXT, major)
    assert "major version of the recipe" in made.because
    after = Known(NEXT.version, NEXT.commit, True, {})
    made = plan(after, [NOW, NEXT, major], {}, "")
    assert (made.action, made.target, made.held) == (Action.HOLD, None, major)


def test_what_is_older_than_the_known_one_is_never_taken() -> None:
    middle = Known(NEXT.version, NEXT.commit, True, {})
    held = Release("2.0.0+26.7.3", "e" * 40)
    assert plan(middle, [NOW, NEXT, held], {}, "").target is None


@given(
    st.booleans(), st.integers(0, 3), st.integers(0, 3), st.integers(0, 9), st.integers(24, 28), st.text(max_size=40)
)
def test_no_major_step_without_a_person(
    serves: bool, major: int, minor: int, patch: int, upstream: int, note: str
) -> None:
    wanted = Release(f"{major}.{minor}.{patch}+{upstream}.1.0", NEXT.commit)
    made = plan(known(serves=serves), [wanted], {wanted.version: note}, "")
    if (major, upstream) != (1, 26):
        assert made.action is Action.HOLD
    assert made.start == (made.action is Action.HOLD and not serves)
    assert (made.action is Action.HOLD) == bool(made.because) == (made.target is None)
