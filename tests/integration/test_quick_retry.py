"""What an overlay does to a reader that maps files, what an update does to anonymous volumes, jobs in a quick run."""

from __future__ import annotations

import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from support.own_recipes import SERVE, Document, beside, make_recipe, shell, web, with_volume
from warmci.base.models import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.integration

# Maps /data/index shared, writes to it by another descriptor, and looks whether the mapping shows it.
READER = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
    int w = open("/data/index", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (w >= 0) { if (ftruncate(w, 4096)) return 2; close(w); }
    int r = open("/data/index", O_RDONLY);
    volatile unsigned char *m = mmap(0, 4096, PROT_READ, MAP_SHARED, r, 0);
    unsigned char next = m[0] + 1;
    w = open("/data/index", O_RDWR);
    if (pwrite(w, &next, 1, 0) != 1) return 2;
    if (m[0] == next) return 0;
    fputs("fatal: the reader does not see what the writer wrote\n", stderr);
    return 1;
}
"""


@pytest.fixture(scope="module")
def reader(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with that program beside busybox."""
    home: Path = tmp_path_factory.mktemp("reader")
    (home / "reader.c").write_text(READER, encoding="utf-8")
    subprocess.run(["gcc", "-static", "-Os", "-o", str(home / "reader"), str(home / "reader.c")], check=True)
    docker = ["docker", "-H", bench.settings.docker_host]
    made = subprocess.run(
        [*docker, "create", "--network", "none", "warmci-demo/busybox:1.35"], check=True, capture_output=True, text=True
    ).stdout.strip()
    subprocess.run([*docker, "cp", str(home / "reader"), f"{made}:/reader"], check=True)
    subprocess.run([*docker, "commit", made, "warmci-tests/reader:1"], check=True, capture_output=True)
    subprocess.run([*docker, "rm", made], check=True, capture_output=True)
    return "warmci-tests/reader:1"


def with_canonical(bench: Bench, name: str, base: Document, head: Document) -> str:
    make_recipe(bench, name, head, [("0.1.0+1.0", base)])
    seeded = bench.run(name)
    assert seeded.code == 0, seeded.stderr
    return name


def test_a_red_quick_on_an_overlay_is_tried_on_a_copy(bench: Bench, reader: str) -> None:
    assert shutil.which("gcc")

    def document(version: str, check: str) -> Document:
        script = (
            f"{check} mkdir -p /www; echo ok > /www/index.html; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"
        )
        return with_volume(web(version, image=reader, command=shell(script), volumes=["data:/data"]), "data")

    first = "test -e /data/index || /reader || exit 1;"
    name = with_canonical(bench, "maps", document("0.1.0+1.0", first), document("0.2.0+1.0", "/reader || exit 1;"))
    before = bench.fingerprint(name)
    answer = bench.run(name, "--ref", "pr", "--pr", "x1", "--quick")
    assert answer.code == 0, answer.stderr
    said = [text for text in answer.result.deviations if text.startswith("red on an overlay, tried again on a copy")]
    assert len(said) == 1
    assert "the reader does not see what the writer wrote" in said[0]
    assert answer.result.attach in {"copy", "reflink"}
    outcomes = {stage.name: stage.outcome for stage in answer.result.stages}
    assert outcomes["quick: upgrade to the head"] == "failed"
    assert outcomes["quick on a copy: upgrade to the head"] == "ok"
    assert bench.fingerprint(name) == before
    assert bench.ledger() == Ledger()


def test_data_in_an_anonymous_volume_is_a_warning_and_its_loss_is_shown(bench: Bench) -> None:
    base, head = web("0.1.0+1.0", volumes=["/cache"]), web("0.2.0+1.0", volumes=["/cache"], environment={"NEW": "1"})
    name = make_recipe(bench, "forgets", head, [("0.1.0+1.0", base)])
    answer = bench.run(name, "--ref", "pr", "--pr", "x1")
    assert answer.code == 0, answer.stderr
    assert "app: /cache is an anonymous volume: its data is lost at each update" in answer.result.deviations
    lost = "app: a file put into the anonymous volume at /cache before the upgrade is gone"
    assert lost in answer.result.deviations


def test_an_anonymous_volume_of_a_service_that_stays_keeps_its_data(bench: Bench) -> None:
    other: dict[str, Any] = {"command": ["sleep", "9999"], "volumes": ["/cache"]}
    base, head = beside(web("0.1.0+1.0"), "other", **other), beside(web("0.2.0+1.0", tty=True), "other", **other)
    answer = bench.run(make_recipe(bench, "remembers", head, [("0.1.0+1.0", base)]), "--ref", "pr", "--pr", "x1")
    assert answer.code == 0, answer.stderr
    assert not [text for text in answer.result.deviations if "before the upgrade is gone" in text]


def test_a_job_in_a_quick_run(bench: Bench) -> None:
    def document(version: str, word: str) -> Document:
        app = web(version, command=shell(f"trap 'exit 0' TERM; {SERVE.replace('exec ', '')} & wait"))
        return beside(app, "migrate", command=shell(f"echo {word}; exit 0"), deploy={"mode": "replicated-job"})

    name = with_canonical(bench, "has-job", document("0.1.0+1.0", "one"), document("0.2.0+1.0", "two"))
    answer = bench.run(name, "--ref", "pr", "--pr", "x1", "--quick")
    assert answer.code == 0, answer.stderr


def test_a_removal_that_another_has_begun_is_waited_for(bench: Bench) -> None:
    docker = ["docker", "-H", bench.settings.docker_host, "run", "-d", "--network", "none", "--label", "race=1"]
    for _ in range(4):
        subprocess.run([*docker, "warmci-demo/busybox:1.35", "sleep", "9999"], check=True, capture_output=True)
    engine, start = bench.engine, threading.Barrier(4)
    ids = [item["Id"] for item in engine.containers(["race=1"])]

    def kill(_: int) -> None:
        start.wait()
        engine.kill_containers(ids)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(kill, range(4)))
    assert engine.containers(["race=1"]) == []
