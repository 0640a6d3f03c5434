"""What is laid over a recipe's document, and that each change is said."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from warmci.recipe import overlay
from warmci.recipe.ingress import Route, Routing, behind_traefik

LABELS = {"org.warmci.run": "r1", "org.warmci.instance": "i1"}


def document(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text))


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


def test_a_published_port_of_a_service_on_internal_networks_alone_is_reached() -> None:
    text = (
        "services: {app: {networks: {a: , b: }}, plain: {image: x}}\n"
        "networks: {a: {internal: true}, b: {internal: true}, default: {internal: true}}\n"
    )
    for name, own in (("app", {"a", "b"}), ("plain", {"default"})):
        changed = document(text)
        said = overlay.publish_route(changed, Routing(Route(name, 80, "ports")), 20001, fronted=True)
        assert set(changed["services"][name]["networks"]) == {*own, "warmci"}
        assert changed["networks"]["warmci"] == {}
        assert said[0].startswith(f"{name} has a network of the run's own beside")
    outside = document(text.replace("b: {internal: true}", "b: "))
    assert overlay.publish_route(outside, Routing(Route("app", 80, "ports")), 1, fronted=True) == [
        "ingress direct: app:80 behind port 1"
    ]
    by_labels = document(text)
    overlay.publish_route(by_labels, Routing(Route("app", 80, "traefik")), 1, fronted=True)
    assert "warmci" not in by_labels["networks"]


def test_only_the_route_is_published_and_the_rest_is_named() -> None:
    changed = document(
        "services: {app: {ports: [{target: 80, published: 8080}, {target: 25, published: 25}]},"
        " db: {ports: [{target: 5432, published: 5432}, {target: 9}]}, plain: {image: x}}"
    )
    said = overlay.publish_route(changed, Routing(Route("app", 80, "ports")), 20001)
    ports = {name: service.get("ports", []) for name, service in changed["services"].items()}
    assert ports == {
        "app": [{"target": 80, "published": 20001, "protocol": "tcp", "mode": "host"}],
        "db": [],
        "plain": [],
    }
    assert said == [
        "published ports left out: app:8080, app:25, db:5432",
        "ingress direct: app:80 published in host mode on port 20001",
    ]


def test_behind_a_proxy_nothing_is_published() -> None:
    changed = document("services: {app: {ports: [{target: 80, published: 8080}]}}")
    said = overlay.publish_route(changed, Routing(Route("app", 80, "ports")), 20001, fronted=True)
    assert "ports" not in changed["services"]["app"]
    assert said == ["published ports left out: app:8080", "ingress direct: app:80 behind port 20001"]


def test_without_a_route_nothing_is_published() -> None:
    changed = document("services: {app: {ports: [{target: 53, protocol: udp}]}}")
    assert overlay.publish_route(changed, Routing(None, "it sleeps"), 20001) == [
        "ingress direct: not asked over HTTP, because it sleeps"
    ]
    assert "ports" not in changed["services"]["app"]


def test_behind_traefik_nothing_of_ours_is_published() -> None:
    text = "services: {app: {ports: [{target: 80, published: 8080}], deploy: {labels: {a: b}}, networks: {proxy: }}}"
    changed = document(text)
    assert overlay.leave_to_traefik(changed, Routing(Route("app", 80, "traefik"))) == [
        "published ports left out: app:8080",
        "ingress traefik: app:80 by its labels",
    ]
    assert changed["services"]["app"] == {"deploy": {"labels": {"a": "b"}}, "networks": {"proxy": None}}
    assert overlay.leave_to_traefik(changed, Routing(None, "it sleeps")) == [
        "ingress traefik: not asked, because it sleeps"
    ]


def test_ports_alone_are_no_route_behind_traefik() -> None:
    of_ports, of_labels = Routing(Route("app", 80, "ports")), Routing(Route("app", 80, "traefik"))
    assert behind_traefik(of_ports).because == "it publishes ports and has no Traefik labels"
    assert behind_traefik(of_labels) is of_labels


def test_a_proxys_own_ports_are_published_at_its_task() -> None:
    changed = document("services: {app: {ports: [{target: 80, published: 80, mode: ingress}]}}")
    overlay.publish_in_host_mode(changed)
    assert changed["services"]["app"]["ports"] == [{"target": 80, "published": 80, "mode": "host"}]


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


@pytest.mark.parametrize(
    ("networks", "own"),
    [
        ("{proxy: {external: true}, internal: }", ["proxy"]),
        ("{web: {external: true, name: proxy}}", ["web"]),
        ("{proxy: {external: true, name: host}, other: {external: true}}", []),
        ("{proxy: {internal: true}}", []),
        ("", []),
    ],
)
def test_the_shared_network_is_replaced_by_one_of_the_runs_own(networks: str, own: list[str]) -> None:
    changed = document(f"services: {{app: {{image: x}}}}\nnetworks: {networks}")
    before = document(f"networks: {networks}")["networks"] or {}
    said = overlay.own_networks(changed)
    assert said == ["network proxy: one of the run's own in its place"] * len(own)
    assert (changed["networks"] or {}) == {**before, **{name: {} for name in own}}


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


def test_every_service_is_placed_on_the_node_beside_its_own_constraints() -> None:
    app = "{image: a, deploy: {placement: {constraints: [node.role == manager]}}}"
    changed = document(f"services: {{app: {app}, db: {{image: b}}}}")
    (said,) = overlay.place_on(changed, "n0de")
    assert changed["services"]["app"]["deploy"]["placement"]["constraints"] == [
        "node.role == manager",
        "node.id==n0de",
    ]
    assert changed["services"]["db"]["deploy"] == {"placement": {"constraints": ["node.id==n0de"]}}
    assert said.endswith("hold beside it: app: node.role == manager")
