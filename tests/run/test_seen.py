"""What is kept of a red stage."""

from __future__ import annotations

import random
import time

from warmci.run.seen import changes


def test_the_difference_of_two_compose_files() -> None:
    assert changes("a\nb\n", "a\nc\n") == "--- base\n+++ head\n@@ -1,2 +1,2 @@\n a\n-b\n+c"


def test_of_endless_files_there_is_none() -> None:
    """A hundred lines in any order, over and over: the comparison is quadratic."""
    lines = random.Random(1)
    one, other = ("\n".join(f"- {lines.randrange(150)}" for _ in range(70_000)) for _ in range(2))
    began = time.process_time()
    assert changes(one, other) == "not compared: more than 4000 lines\n"
    assert time.process_time() - began < 10
