"""A service that does not end when it is told to: warned of while nothing is kept, exit code 4 where it would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.own_recipes import make_recipe, shell, web, with_volume

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.integration
DEAF = "trap '' TERM; mkdir -p /www; echo ok > /www/index.html; httpd -f -p 8080 -h /www & while :; do sleep 1; done"


def test_a_deaf_service_is_warned_of_and_is_never_promoted(bench: Bench) -> None:
    deaf = web(command=shell(DEAF), volumes=["data:/data"], stop_grace_period="1s")
    name = make_recipe(bench, "deaf", with_volume(deaf, "data"), [("0.1.0+1.0", with_volume(deaf, "data"))])
    words = ("stop_signal", "init: true", "stop_grace_period")

    warned = bench.run(name, "--ref", "0.1.0+1.0", "--pr", "1")
    assert warned.code == 0, warned.stderr
    (said,) = [text for text in warned.result.deviations if "did not stop within its grace period" in text]
    assert all(word in said for word in (*words, "exit code 4"))
    assert said in warned.stderr

    refused = bench.run(name, "--ref", "0.1.0+1.0")
    assert refused.code == 4, refused.stderr
    assert all(word in refused.result.hint for word in (*words, "the canonical is as it was"))
    assert bench.store.load(name) is None
