"""Moments in each way in which engines write them."""

from __future__ import annotations

import pytest

from warmci.swarm.timestamps import moment


@pytest.mark.parametrize(
    ("told", "then"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T00:01:00.5Z", 60.5),
        ("1970-01-01T00:01:00.123456789Z", 60.123456),
        ("1970-01-01T00:01:00.12345Z", 60.12345),
        ("1970-01-01T02:01:00.25+02:00", 60.25),
        ("1969-12-31T19:01:00.123456789-05:00", 60.123456),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_a_moment(told: object, then: float) -> None:
    assert moment(told) == pytest.approx(then, abs=1e-7)
