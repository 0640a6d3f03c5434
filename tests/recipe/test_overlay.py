"""What is laid over a recipe's document, and that each change is said."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from warmci.recipe import overlay
from warmci.recipe.ingress import Route

LABELS = {"org.warmci.run": "r1", "org.warmci.instance": "i1"}


def document(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1m30s", 90),
        ("30s", 30),
        ("500ms", 0.5),
        ("1h", 3600),
        ("1.5s", 1.5),
        ("10us", 1e-5),
        (None, 7),
        ("", 7),
        ("x", 7),
    ],
)
def test_durations_of_go(text: str | None, expected: float) -> None:
    assert overlay.seconds(text, 7) == pytest.approx(expected)


CHECKS = st.fixed_dictionaries(
    {"test": st.just(["CMD", "true"])},
    optional={
        "interval": st.sampled_from(["1s", "5s", "10s", "30s", "1m30s", "500ms"]),
        "retries": st.integers(1, 50),
        "start_period": st.sampled_from(["0s", "1m"]),
        "timeout": st.just("3s"),
    },
)


@given(CHECKS)
@example({"test": ["CMD", "true"]})
def test_quick_checks_more_often_with_the_same_total_patience(check: dict[str, Any]) -> None:
    changed: dict[str, Any] = {"services": {"app": {"image": "x", "healthcheck": copy.deepcopy(check)}}}
    said = overlay.quick_profile(changed)
    new = changed["services"]["app"]["healthcheck"]
    before = overlay.seconds(check.get("interval"), 30) * check.get("retries", 3)  # the engine's defaults
    after = overlay.seconds(new["interval"], 30) * new["retries"]
    assert after == pytest.approx(before, abs=0.101)  # whole checks only
    assert overlay.seconds(new["interval"], 30) <= 0.2
    assert {key: new.get(key) for key in ("test", "start_period", "timeout")} == {
        key: check.get(key) for key in ("test", "start_period", "timeout")
    }
    assert any("healthcheck every" in line for line in said)


@pytest.mark.parametrize(
    "check",
    ["{disable: true}", "{test: [NONE], disable: true}", "{interval: 30s}", "{test: x, interval: 100ms, retries: 5}"],
)
def test_quick_leaves_other_checks_alone(check: str) -> None:
    changed = document(f"services: {{app: {{healthcheck: {check}}}}}")
    overlay.quick_profile(changed)
    assert changed["services"]["app"]["healthcheck"] == yaml.safe_load(check)


@pytest.mark.parametrize("order", ["start-first", "stop-first", None])
def test_quick_never_touches_the_order(order: str | None) -> None:
    update = {"failure_action": "rollback", "parallelism": 1} | ({"order": order} if order else {})
    changed = {"services": {"app": {"deploy": {"update_config": dict(update), "rollback_config": dict(update)}}}}
    overlay.quick_profile(changed)
    deploy = changed["services"]["app"]["deploy"]
    assert deploy["update_config"] == {**update, "monitor": "500ms"}
    assert deploy["rollback_config"] == update


def test_quick_restarts_sooner_without_running_out_of_attempts() -> None:
    changed = document(
        "services: {a: {deploy: {restart_policy: {condition: on-failure, delay: 10s, max_attempts: 3}}},"
        " once: {deploy: {restart_policy: {condition: none}}}, plain: {image: x}}"
    )
    said = overlay.quick_profile(changed)
    policies = {name: service["deploy"]["restart_policy"] for name, service in changed["services"].items()}
    assert policies["a"] == {"condition": "on-failure", "delay": "100ms", "max_attempts": 30}
    assert policies["once"] == {"condition": "none"}
    assert policies["plain"] == {"delay": "100ms"}
    assert "a: restart_policy.delay 10s → 0.1s" in said


def test_only_the_route_is_published_and_the_rest_is_named() -> None:
    changed = document(
        "services: {app: {ports: [{target: 80, published: 8080}, {target: 25, published: 25}]},"
        " db: {ports: [{target: 5432, published: 5432}, {target: 9}]}, plain: {image: x}}"
    )
    said = overlay.publish_route(changed, Route("app", 80, "ports"), 20001)
    ports = {name: service.get("ports", []) for name, service in changed["services"].items()}
    assert ports == {
        "app": [{"target": 80, "published": 20001, "protocol": "tcp", "mode": "host"}],
        "db": [],
        "plain": [],
    }
    assert said == [
        "published ports left out: app:8080, app:25, db:5432",
        "ingress direct: app:80 published on 20001 in host mode",
    ]


def test_without_a_route_nothing_is_published() -> None:
    changed = document("services: {app: {ports: [{target: 53, protocol: udp}]}}")
    assert overlay.publish_route(changed, None, 20001) == ["ingress direct: no port is routed"]
    assert "ports" not in changed["services"]["app"]


def test_every_object_is_labelled_and_foreign_ones_are_not() -> None:
    changed = document("""
services:
  app: {networks: {internal: }, deploy: {labels: {own: kept, org.warmci.run: forged}}}
  db: {image: x}
networks: {internal: , proxy: {external: true}, listed: {labels: [a=b]}}
configs: {c: {file: x, labels: {own: kept}}}
secrets: {s: {external: true}, f: {file: y}}
""")
    overlay.add_labels(changed, LABELS, {"chaos": "true"})
    app, db = changed["services"]["app"]["deploy"], changed["services"]["db"]["deploy"]
    assert app["labels"] == {"own": "kept", **LABELS, "chaos": "true"}
    assert db["labels"] == LABELS
    assert changed["networks"] == {
        "internal": {"labels": LABELS},
        "proxy": {"external": True},
        "listed": {"labels": {"a": "b", **LABELS}},
        "default": {"labels": LABELS},
    }
    assert changed["configs"]["c"]["labels"] == {"own": "kept", **LABELS}
    assert changed["secrets"] == {"s": {"external": True}, "f": {"file": "y", "labels": LABELS}}


def test_the_default_network_is_labelled_only_where_it_is_made() -> None:
    unused = document("services: {app: {networks: {internal: }}}\nnetworks: {internal: }")
    overlay.add_labels(unused, LABELS, {})
    assert "default" not in unused["networks"]
    bare = document("services: {app: {image: x}}\nnetworks:\nconfigs:\n")
    overlay.add_labels(bare, LABELS, {})
    assert bare["networks"] == {"default": {"labels": LABELS}}


def test_names_resolve_to_tasks_without_ipvs() -> None:
    changed = document("services: {app: {deploy: {endpoint_mode: vip, replicas: 2}}, db: {image: x}, e: {deploy: }}")
    assert "dnsrr" in overlay.without_ipvs(changed)[0]
    assert {name: service["deploy"] for name, service in changed["services"].items()} == {
        "app": {"endpoint_mode": "dnsrr", "replicas": 2},
        "db": {"endpoint_mode": "dnsrr"},
        "e": {"endpoint_mode": "dnsrr"},
    }


def test_hosts_are_added_to_the_recipes_own() -> None:
    changed = document("services: {app: {extra_hosts: ['own:1.2.3.4']}, db: {image: x}}")
    overlay.add_hosts(changed, {"b.example": "10.0.0.1", "a.example": "10.0.0.1"})
    ours = ["a.example:10.0.0.1", "b.example:10.0.0.1"]
    assert changed["services"]["app"]["extra_hosts"] == ["own:1.2.3.4", *ours]
    assert changed["services"]["db"]["extra_hosts"] == ours
