"""A quick upgrade by way of zero replicas: swarm's order and swarm's judgement, without its waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.own_recipes import SERVE, beside, make_recipe, shell, web, with_volume
from warmci.base.models import Ledger, Mode

if TYPE_CHECKING:
    from support.bench import Answer, Bench
    from support.own_recipes import Document

pytestmark = pytest.mark.integration
ALONE = (
    "test -e /data/running && { echo 'fatal: another one runs on this data'; exit 1; }; touch /data/running;"
    " trap 'sleep 1; rm /data/running; exit 0' TERM; mkdir -p /www; echo ok > /www/index.html;"
    " httpd -f -p 8080 -h /www & wait"
)
ENDS = f"trap 'exit 0' TERM; {SERVE.replace('exec ', '')} & wait"
ONCE = "test -e /data/tried || { touch /data/tried; echo 'fatal: not yet'; exit 1; };"


def document(version: str, first: str = "", **deploy: Any) -> Document:
    app = web(version, command=shell(f"{first} {ALONE}"), volumes=["data:/data"], deploy=deploy)
    return with_volume(beside(app, "other", command=["sleep", "9999"], stop_grace_period="1s"), "data")


def quick(bench: Bench, name: str, head: Document) -> Answer:
    make_recipe(bench, name, head, [("0.1.0+1.0", document("0.1.0+1.0"))])
    seeded = bench.run(name)
    assert seeded.code == 0, seeded.stderr
    before = bench.fingerprint(name)
    answer = bench.run(name, "--ref", "pr", "--pr", "x1", "--quick")
    assert bench.fingerprint(name) == before
    assert bench.ledger() == Ledger()
    return answer


def by_zero(answer: Answer) -> set[str]:
    return {text.partition(":")[0] for text in answer.result.deviations if "by way of zero replicas" in text}


def test_the_old_version_has_ended_by_itself_before_the_new_one_starts(bench: Bench) -> None:
    answer = quick(bench, "alone", document("0.2.0+1.0", "true;"))
    assert answer.code == 0, answer.stderr
    assert by_zero(answer) == {"app"}


@pytest.mark.parametrize(
    ("name", "update", "code"),
    [("falls-once", {}, 1), ("may-fall", {"failure_action": "continue"}, 0)],
)
def test_a_first_task_that_falls_is_judged_as_swarm_would(
    bench: Bench, name: str, update: dict[str, str], code: int
) -> None:
    answer = quick(bench, name, document("0.2.0+1.0", ONCE, update_config=update))
    assert answer.code == code, answer.stderr
    assert by_zero(answer) == {"app"}
    if code:
        assert answer.result.summary == "update of app failed: its new task ended: fatal: not yet"


def test_start_first_stays_swarms_own(bench: Bench) -> None:
    def overlapping(version: str, word: str) -> Document:
        update = {"order": "start-first"}
        app = web(version, command=shell(f"echo {word} > /data/word; {ENDS}"), volumes=["data:/data"])
        app["services"]["app"]["deploy"]["update_config"] = update
        return with_volume(app, "data")

    make_recipe(bench, "overlaps", overlapping("0.2.0+1.0", "two"), [("0.1.0+1.0", overlapping("0.1.0+1.0", "one"))])
    seeded = bench.run("overlaps")
    assert seeded.code == 0, seeded.stderr
    answer = bench.run("overlaps", "--ref", "pr", "--pr", "x1", "--quick")
    assert (answer.code, answer.result.ran) == (0, Mode.QUICK), answer.stderr
    assert by_zero(answer) == set()
