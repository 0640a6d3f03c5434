"""Three nodes of one swarm share a night of twelve recipes; one of their engines dies in the middle of it."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.results import read_results
from support.three_nodes import three_nodes
from warmci.base.models import Verdict
from warmci.demo import images, recipes
from warmci.report.sweep_record import load_sweeps
from warmci.swarm import noticeboard
from warmci.swarm.nodes import list_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.three_nodes import Worker

pytestmark = [pytest.mark.integration, pytest.mark.long]
RECIPES = [f"page-{number}" for number in range(12)]
NIGHT_S = 1500


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Worker]]:
    root = tmp_path_factory.mktemp("nodes")
    recipes.instantiate(root / "demo")
    for name in RECIPES:
        source = root / "demo" / "recipes" / "custom-html"
        argv = ["git", "clone", "-q", str(source), str(root / "recipes" / name)]
        subprocess.run(argv, check=True, capture_output=True)
    (root / "operator").mkdir()
    values = {
        "recipes_dir": str(root / "operator"),
        "recipe_source": f"{root}/recipes/{{recipe}}",
        "recipes": RECIPES,
        "watch_s": 2.0,
        "max_tests": 1,
    }
    tags = [tag for tag in images.STORY if images.IMAGES[tag].name == "busybox"]
    with three_nodes(root, tags, values) as workers:
        yield workers


def greens(worker: Worker) -> list[str]:
    found = read_results(worker.bench.settings.runs_dir)
    return [result.recipe for result in found if result.verdict is Verdict.PASS and result.requested == "cold"]


def test_every_service_runs_where_its_data_is(workers: list[Worker]) -> None:
    one = workers[0].bench
    done = one.run("page-0")
    assert done.code == 0, done.stderr
    assert f"every service is placed on this host's node, {one.engine.node_id()}" in " ".join(done.result.deviations)


def test_a_constraint_of_the_recipes_own_that_forbids_this_node_is_named(workers: list[Worker]) -> None:
    one = workers[0].bench
    source = Path(one.settings.recipe_source[0].format(recipe="page-1"))
    _git(source, "switch", "--quiet", "--create", "elsewhere")
    compose = source / "compose.yml"
    text = compose.read_text(encoding="utf-8")
    wish = f"node.id != {one.engine.node_id()}"
    compose.write_text(
        text.replace("    deploy:\n", f"    deploy:\n      placement: {{constraints: [{wish}]}}\n", 1), "utf-8"
    )
    _git(source, "commit", "--quiet", "--all", "--message=elsewhere")
    _git(source, "switch", "--quiet", "main")
    told = one.run("page-1", "--ref", "elsewhere")
    assert told.code == 3, told.stderr
    assert f"it asks for {wish} and node.id==" in told.result.summary
    assert not one.ledger().stacks


def _git(tree: Path, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", "-C", str(tree), *who, *arguments], check=True, capture_output=True)


def test_a_node_that_is_no_worker_sweeps_nothing(workers: list[Worker]) -> None:
    two = workers[1].bench
    _label(two.engine.node_id(), workers, "false")
    said = two.call("warmci", "sweep", "--shard")
    assert said.code == 3, said.stderr
    assert f"docker node update --label-add warmci.worker=true {two.engine.node_id()}" in said.stderr
    _label(two.engine.node_id(), workers, "true")


def _label(node: str, workers: list[Worker], value: str) -> None:
    argv = ["docker", "--host", workers[0].bench.settings.docker_host, "node", "update"]
    subprocess.run([*argv, "--label-add", f"warmci.worker={value}", node], check=True, capture_output=True, timeout=30)


def test_a_night_in_which_an_engine_dies(workers: list[Worker]) -> None:
    before = {worker.name: len(greens(worker)) for worker in workers}
    sweeps = [worker.bench.start("warmci", "sweep", "--shard", "--json") for worker in workers]
    victim = workers[2]
    its_node = victim.bench.engine.node_id()
    deadline = time.monotonic() + 600
    while its_node not in {notice.node for notice in noticeboard.read(workers[0].bench.engine, "done")}:
        assert sweeps[2].poll() is None, sweeps[2].communicate()[1]
        assert time.monotonic() < deadline, "the third node does not get on"
        time.sleep(0.5)
    victim.kill_engine()
    done = greens(victim)[before[victim.name] :]
    ended = [sweep.communicate(timeout=NIGHT_S) for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps[:2]] == [0, 0], ended[:2]
    assert sweeps[2].returncode == 3, ended[2]
    shares = [greens(worker)[before[worker.name] :] for worker in workers[:2]]
    assert sorted([*done, *shares[0], *shares[1]]) == sorted(RECIPES), "each recipe once, on a node that lives"
    assert all(json.loads(out)["node"] for out, _ in ended)
    planned = {item.recipe for item in load_sweeps(victim.bench.settings.state_dir)[-1].items}
    assert planned - set(done), "the victim had done all before it died: nothing was proved"
    assert all(share for share in shares)
    seen = json.loads(workers[0].bench.call("warmci", "status", "--all", "--json").stdout)["nodes"]
    by_id = {node["id"]: node for node in seen}
    here, other = (by_id[worker.bench.engine.node_id()] for worker in workers[:2])
    assert (here["here"], other["here"], by_id[its_node]["live"]) == (True, False, False)
    good = {item["recipe"] for item in other["status"]["canonicals"] if item["state"] == "good"}
    assert good == set(shares[1])
    assert other["status"]["sweep"]["exit_code"] == 0
    assert by_id[its_node]["status"] is None
    for worker in workers[:2]:
        ledger = worker.bench.ledger()
        assert not ledger.stacks, ledger
        assert {node.live for node in list_nodes(worker.bench.engine)} == {True, False}
