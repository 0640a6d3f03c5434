"""The port that a recipe routes, found as Traefik would find it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from warmci.base.errors import RecipeFailedError
from warmci.recipe.ingress import Route, find_route

DOMAIN = "warm-demo.example"


def routed(
    rule: str = f"Host(`{DOMAIN}`)", port: str | None = "8080", *, networks: list[str] | None = None, name: str = "app"
) -> dict[str, Any]:
    labels = {"traefik.enable": "true", "traefik.http.routers.demo.rule": rule}
    if port is not None:
        labels["traefik.http.services.demo.loadbalancer.server.port"] = port
    service: dict[str, Any] = {"image": "x", "deploy": {"labels": labels}}
    service["networks"] = dict.fromkeys(networks if networks is not None else ["proxy", "internal"])
    return {"services": {name: service}, "networks": {"proxy": {"external": True}, "internal": None}}


@pytest.mark.parametrize(
    "rule",
    [
        f"Host(`{DOMAIN}`)",
        f"Host(`{DOMAIN}`, `www.example`)",
        f"Host(`www.example`) || Host(`{DOMAIN}`)",
        f"Host(`{DOMAIN}`) && PathPrefix(`/x`)",
        f'Host("{DOMAIN}")',
    ],
)
def test_a_rule_with_the_domain(rule: str) -> None:
    assert find_route(routed(rule), DOMAIN) == Route("app", 8080, "traefik")


@pytest.mark.parametrize(
    "rule",
    ["Host(`other.example`)", f"Host(`x{DOMAIN}`)", f"Host(`{DOMAIN}.evil`)", f"PathPrefix(`{DOMAIN}`)", "Host(``)"],
)
def test_a_rule_without_the_domain_is_shown(rule: str) -> None:
    with pytest.raises(RecipeFailedError, match=r"no Traefik rule routes warm-demo\.example") as caught:
        find_route(routed(rule), DOMAIN)
    assert rule in caught.value.message
    assert "DOMAIN" in str(caught.value.hint)


def test_no_rule_at_all() -> None:
    document = routed()
    del document["services"]["app"]["deploy"]["labels"]["traefik.http.routers.demo.rule"]
    with pytest.raises(RecipeFailedError, match="no router rule"):
        find_route(document, DOMAIN)


@pytest.mark.parametrize("port", [None, "", "http", "80a", "-1"])
def test_a_missing_port(port: str | None) -> None:
    with pytest.raises(RecipeFailedError, match=r"services\.app: no loadbalancer\.server\.port"):
        find_route(routed(port=port), DOMAIN)


def test_a_routed_service_must_be_on_the_proxys_network() -> None:
    with pytest.raises(RecipeFailedError, match=r"services\.app is routed, but not on the network proxy"):
        find_route(routed(networks=["internal"]), DOMAIN)
    document = routed(networks=["internal"])
    del document["networks"]["proxy"]
    assert find_route(document, DOMAIN) == Route("app", 8080, "traefik")


def test_disabled_labels_are_as_none() -> None:
    document = routed()
    document["services"]["app"]["deploy"]["labels"]["traefik.enable"] = "false"
    assert find_route(document, DOMAIN) is None


def test_another_service_than_app_may_be_routed() -> None:
    document = routed(name="web")
    document["services"]["app"] = {"image": "x", "ports": [{"target": 9000}]}
    assert find_route(document, DOMAIN) == Route("web", 8080, "traefik")


def test_the_app_comes_first() -> None:
    document = routed(name="aaa", port="1")
    document["services"] |= routed(port="2")["services"]
    assert find_route(document, DOMAIN) == Route("app", 2, "traefik")


def test_without_labels_the_first_tcp_port_counts() -> None:
    text = """
services:
  adminer: {ports: [{target: 1, protocol: tcp}]}
  app: {ports: [{target: 53, protocol: udp}, {target: 80, published: 8080, protocol: tcp}, {target: 81}]}
"""
    assert find_route(yaml.safe_load(text), DOMAIN) == Route("app", 80, "ports")


def test_a_recipe_that_publishes_nothing() -> None:
    text = "services: {app: {image: x, deploy: }, dns: {ports: [{target: 53, protocol: udp}]}}"
    assert find_route(yaml.safe_load(text), DOMAIN) is None
