"""The first hour: a recipe that was just begun is green without an edit, on a real engine."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from support.bench import BIN
from warmci.demo import images

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.integration
STAND_IN = "warmci-demo/busybox:1.35"
"""The same program, for the image that the new recipe names: no registry is within reach of the bench."""


def test_a_recipe_that_was_just_begun_is_green(bench: Bench) -> None:
    image = images.IMAGES[STAND_IN]
    bench.engine.import_image(image.tar(images.default_cache_dir()), "busybox:1.35.0", image.changes)
    argv = [str(BIN / "warmci"), "recipe", "init", "begun"]
    made = subprocess.run(
        argv, cwd=bench.root, env=bench.env(), capture_output=True, text=True, timeout=60, check=False
    )
    assert made.returncode == 0, made.stderr
    answer = bench.run(str(bench.root / "begun"))
    assert answer.code == 0, answer.stderr
    result = answer.result
    assert {test.name for stage in result.stages for test in stage.tests} >= {
        "test_begun::test_a_note_is_written",
        "test_begun::test_the_note_is_there",
    }
    assert result.promotion is not None
    assert (result.promotion.action, result.promotion.outcome) == ("seed", "ok")
    drilled = bench.call("warmci", "canonical", "drill", "begun")  # where it came from is known, the name leads nowhere
    assert drilled.code == 0, drilled.stderr
