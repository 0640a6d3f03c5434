"""The tutorial, typed in from its first block to its last; `TUTORIAL=write` puts what it printed into the page."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support import tutorial
from support.bench import BIN
from warmci.demo import images

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.integration
STAND_INS = {"busybox:1.35.0": "warmci-demo/busybox:1.35", "redis:7.0": "warmci-demo/redis:7.0"}
"""The same programs of the distribution's, for the images that the page names: no registry is within reach."""


CHAPTER = "## Single sign-on"
"""Needs a Keycloak of its own, so it is played at night."""


def test_what_the_tutorial_says_is_what_happens(bench: Bench, tmp_path: Path) -> None:
    page = tutorial.PAGE.read_text(encoding="utf-8")
    part, heading, rest = page.partition(CHAPTER)
    played = _played(part, bench, tmp_path)
    if _writing():
        tutorial.PAGE.write_text(played + heading + rest, encoding="utf-8")
        part = played
    assert tutorial.steady(played) == tutorial.steady(part)
    assert _verdicts(played) == ["PASS cold", "PASS cold", "PASS quick", "FAIL quick"]


@pytest.mark.long
def test_the_chapter_on_single_sign_on_too(bench: Bench, tmp_path: Path) -> None:
    page = tutorial.PAGE.read_text(encoding="utf-8")
    played = _played(page, bench, tmp_path)
    if _writing():
        tutorial.PAGE.write_text(played, encoding="utf-8")
        page = played
    assert tutorial.steady(played) == tutorial.steady(page)
    assert _verdicts(played) == ["PASS cold", "PASS cold", "PASS quick", "FAIL quick", "PASS quick"]


def _writing() -> bool:
    return os.environ.get("TUTORIAL") == "write"


def _verdicts(played: str) -> list[str]:
    lines = [line for line in played.splitlines() if line.startswith(("PASS ", "FAIL "))]
    return [" ".join(line.split(" ", 3)[:2]) for line in lines]


def _played(text: str, bench: Bench, home: Path) -> str:
    cache = images.default_cache_dir()
    images.build_images(STAND_INS.values(), cache, print)
    for tag, ours in STAND_INS.items():
        bench.engine.import_image(images.IMAGES[ours].tar(cache), tag, images.IMAGES[ours].changes)
    env = {
        "LANG": "C.UTF-8",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(home),
        "WARMCI_DOCKER_HOST": bench.settings.docker_host,
        "WARMCI_NETNS": str(bench.settings.netns),
        "WARMCI_WATCH_S": "2",
        "WARMCI_RECIPE_SOURCE": str(bench.settings.recipe_source[0]),  # of Keycloak's recipe: the demo's
    }
    return tutorial.played(text, home, env)
