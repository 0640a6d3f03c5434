"""Each kind of service converges as swarm means it, or is told red within seconds with its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.own_recipes import beside, make_recipe, shell, web, with_volume
from warmci.base.models import Ledger

if TYPE_CHECKING:
    from support.bench import Answer, Bench

pytestmark = pytest.mark.integration
LABEL_NOBODY_HAS = {"constraints": ["node.labels.gpu == true"]}
NO_PORTS: dict[str, Any] = {"command": ["sleep", "9999"]}


def trial(bench: Bench, name: str, head: dict[str, Any]) -> Answer:
    answer = bench.run(make_recipe(bench, name, head), "--ref", "pr", "--pr", "x1")
    assert bench.ledger() == Ledger()
    return answer


def installing_s(answer: Answer) -> float:
    return next(stage.seconds for stage in answer.result.stages if "install the head" in stage.name)


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("job", {"command": shell("sleep 2; exit 0"), "deploy": {"mode": "replicated-job"}}),
        ("job-of-two", {"command": shell("exit 0"), "deploy": {"mode": "replicated-job", "replicas": 2}}),
        ("global-job", {"command": shell("exit 0"), "deploy": {"mode": "global-job"}}),
        ("one-shot", {"command": shell("exit 0"), "deploy": {"restart_policy": {"condition": "on-failure"}}}),
        ("never-again", {"command": shell("exit 0"), "deploy": {"restart_policy": {"condition": "none"}}}),
        ("no-replica", {**NO_PORTS, "deploy": {"replicas": 0}}),
        ("global", {**NO_PORTS, "deploy": {"mode": "global"}}),
        ("global-nowhere", {**NO_PORTS, "deploy": {"mode": "global", "placement": LABEL_NOBODY_HAS}}),
        ("depends", {**NO_PORTS, "depends_on": ["app"]}),
        (
            "slow-start",
            {
                **NO_PORTS,
                "healthcheck": {
                    "test": ["CMD-SHELL", "test -e /ready || { touch /ready; exit 1; }"],
                    "interval": "2s",
                    "start_period": "30s",
                },
            },
        ),
        (
            "crashes-once",
            {
                "command": shell("test -e /data/x || { touch /data/x; exit 1; }; sleep 9999"),
                "volumes": ["data:/data"],
            },
        ),
    ],
)
def test_what_converges(bench: Bench, name: str, service: dict[str, Any]) -> None:
    answer = trial(bench, f"is-{name}", with_volume(beside(web(), "other", **service), "data"))
    assert answer.code == 0, answer.stderr
    said = [text for text in answer.result.deviations if "no node meets" in text]
    assert bool(said) == (name == "global-nowhere")


@pytest.mark.parametrize(
    ("name", "service", "words"),
    [
        ("crash", {"command": shell("echo 'fatal: DB_HOST is not set'; exit 1")}, "fatal: DB_HOST is not set"),
        ("late-crash", {"command": shell("sleep 3; echo 'fatal: gave up'; exit 1")}, "fatal: gave up"),
        ("ends", {"command": shell("sleep 1; echo 'all done'; exit 0")}, "all done"),
        (
            "once",
            {"command": shell("echo no such table; exit 3"), "deploy": {"restart_policy": {"condition": "none"}}},
            "no such table",
        ),
        (
            "bad-job",
            {
                "command": shell("echo cannot migrate; exit 3"),
                "deploy": {"mode": "replicated-job", "restart_policy": {"condition": "none"}},
            },
            "cannot migrate",
        ),
        (
            "two-attempts",
            {
                "command": shell("echo tried; exit 3"),
                "deploy": {"restart_policy": {"condition": "on-failure", "max_attempts": 1, "delay": "500ms"}},
            },
            "tried",
        ),
        (
            "out-of-memory",
            {
                "command": shell("x=y; while true; do x=$$x$$x$$x; done"),
                "deploy": {"resources": {"limits": {"memory": "16M"}}},
            },
            "out of memory",
        ),
        (
            "tmpfs",
            {
                "command": shell("dd if=/dev/zero of=/t/x bs=1M count=9 || exit 1; sleep 9999"),
                "volumes": [{"type": "tmpfs", "target": "/t", "tmpfs": {"size": 1048576}}],
            },
            "No space left on device",
        ),
        (
            "unhealthy",
            {
                **NO_PORTS,
                "healthcheck": {
                    "test": ["CMD-SHELL", "echo the port is closed; exit 1"],
                    "interval": "500ms",
                    "retries": 2,
                },
            },
            "the port is closed",
        ),
        (
            "unhealthy-polite",
            {
                "command": shell("trap 'exit 0' TERM; while true; do sleep 0.1; done"),
                "healthcheck": {
                    "test": ["CMD-SHELL", "echo the port is closed; exit 1"],
                    "interval": "500ms",
                    "retries": 2,
                },
            },
            "the port is closed",
        ),
    ],
)
def test_what_never_will(bench: Bench, name: str, service: dict[str, Any], words: str) -> None:
    for where in ("alone", "beside"):
        head = web(**service) if where == "alone" else beside(web(), "other", **service)
        answer = trial(bench, f"{name}-{where}", head)
        assert answer.code == 1, answer.stderr
        assert words in answer.result.summary, answer.stderr
        assert words in answer.result.log_excerpt
        assert answer.result.cause is not None
        assert f"cause: {answer.result.cause.kind}" in answer.stderr
        assert ("start_period" in answer.result.hint) == ("healthcheck" in service)
        # Without an early verdict it would be the deadline of minutes; swarm itself waits 5 s between two tasks.
        assert installing_s(answer) < 60


@pytest.mark.parametrize(
    ("name", "deploy", "words"),
    [
        ("memory", {"resources": {"reservations": {"memory": "900G"}}}, "insufficient resources on 1 node"),
        (
            "constraint",
            {"placement": LABEL_NOBODY_HAS},
            "scheduling constraints not satisfied on 1 node); it asks for node.labels.gpu == true",
        ),
        ("spread", {"replicas": 2, "placement": {"max_replicas_per_node": 1}}, "max replicas per node"),
    ],
)
def test_no_node_is_infrastructure(bench: Bench, name: str, deploy: dict[str, Any], words: str) -> None:
    answer = trial(bench, f"node-{name}", beside(web(), "other", **NO_PORTS, deploy=deploy))
    assert answer.code == 3, answer.stderr
    assert words in answer.result.summary
    assert installing_s(answer) < 20


@pytest.mark.parametrize(
    ("name", "serve", "kind", "words"),
    [
        ("wrong-port", "httpd -f -p 9000 -h /www", "wrong port", "nothing listens on port 8080; the app listens on"),
        ("loopback", "httpd -f -p 127.0.0.1:8080 -h /www", "listener on loopback", "127.0.0.1 port 8080"),
    ],
)
def test_an_app_that_is_not_reached_is_told_why(bench: Bench, name: str, serve: str, kind: str, words: str) -> None:
    script = f"mkdir -p /www; echo ok > /www/index.html; echo 'I am up'; exec {serve}"
    answer = trial(bench, f"not-reached-{name}", web(command=shell(script)))
    assert answer.code == 1, answer.stderr
    assert words in answer.result.summary
    assert "I am up" in answer.result.log_excerpt
    assert answer.result.cause is not None
    assert answer.result.cause.kind == kind


def test_cold_watches_for_late_faults_and_quotes_them(bench: Bench) -> None:
    script = "mkdir -p /www; echo ok > /www/index.html; httpd -p 8080 -h /www; sleep 12; echo 'fatal: lost it'; exit 1"
    name = make_recipe(bench, "dies-late", web(command=shell(script)))
    answer = bench.run(name, "--ref", "pr", "--pr", "x1", WARMCI_WATCH_S="20")
    assert answer.code == 1, answer.stderr
    assert "though it had converged: fatal: lost it" in answer.result.summary
    assert "s after its start" in answer.result.summary
    well = bench.run(make_recipe(bench, "lives", web()), "--ref", "pr", "--pr", "x1", WARMCI_WATCH_S="20")
    assert well.code == 0, well.stderr
    assert sum(s.seconds for s in well.result.stages if "install the head" in s.name or "tests" in s.name) >= 20
