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


def test_what_the_tutorial_says_is_what_happens(bench: Bench, tmp_path: Path) -> None:
    cache = images.default_cache_dir()
    images.build_images(STAND_INS.values(), cache, print)
    for tag, ours in STAND_INS.items():
        bench.engine.import_image(images.IMAGES[ours].tar(cache), tag, images.IMAGES[ours].changes)
    env = {
        "LANG": "C.UTF-8",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "WARMCI_SCREENSHOTS": "never",
        "WARMCI_DOCKER_HOST": bench.settings.docker_host,
        "WARMCI_NETNS": str(bench.settings.netns),
        "WARMCI_WATCH_S": "2",
        **{f"GIT_{who}_{what}": f"me{at}" for who in ("AUTHOR", "COMMITTER") for what, at in _IDENTITY},
    }
    page = tutorial.PAGE.read_text(encoding="utf-8")
    played = tutorial.played(page, tmp_path, env)
    if os.environ.get("TUTORIAL") == "write":
        tutorial.PAGE.write_text(played, encoding="utf-8")
        page = played
    assert tutorial.steady(played) == tutorial.steady(page)
    verdicts = [line.split(" ", 3)[:2] for line in played.splitlines() if line.startswith(("PASS ", "FAIL "))]
    assert verdicts == [["PASS", "cold"], ["PASS", "cold"], ["PASS", "quick"], ["FAIL", "quick"]]


_IDENTITY = (("NAME", ""), ("EMAIL", "@example.org"))
