"""The service, port and scheme that answer for a domain: Traefik's choice for GET /."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from warmci.base.errors import RecipeFailedError
from warmci.recipe.ingress import Ask, Route, find_route

DOMAIN = "warm-demo.example"


def service(*labels: str, networks: tuple[str, ...] = ("proxy",)) -> dict[str, Any]:
    """A service with these labels after `traefik.`, enabled."""
    pairs = [f"traefik.{label}".split("=", 1) for label in ("enable=true", *labels)]
    return {"image": "x", "deploy": {"labels": dict(pairs)}, "networks": dict.fromkeys(networks)}


def web(name: str, rule: str, port: int, *more: str) -> dict[str, Any]:
    return service(f"http.routers.{name}.rule={rule}", f"http.services.{name}.loadbalancer.server.port={port}", *more)


def document(**services: dict[str, Any]) -> dict[str, Any]:
    return {"services": services, "networks": {"proxy": {"external": True}, "internal": None}}


HOME = f"Host(`{DOMAIN}`)"


def found(**services: dict[str, Any]) -> Route | None:
    return find_route(document(**services), DOMAIN).route


def route(name: str = "app", port: int = 8080, scheme: str = "http") -> Route:
    return Route(name, port, "traefik", scheme, DOMAIN)


@pytest.mark.parametrize(
    "rule",
    [
        HOME,
        f"Host(`{DOMAIN}`, `www.{DOMAIN}`)",
        f"Host(`www.{DOMAIN}`) || {HOME}",
        f'Host("{DOMAIN}")',
        f"HOST(`{DOMAIN.upper()}`)",
        f"HostRegexp(`^(www.)?{DOMAIN}`)",
        "HostRegexp(`{name:[a-z-]+}.example`)",
        f"{HOME} && !PathPrefix(`/api`)",
        "PathPrefix(`/`)",
    ],
)
def test_a_rule_that_matches(rule: str) -> None:
    assert found(app=web("a", rule, 8080)) == route()


@pytest.mark.parametrize(
    "rule", ["Host(`other.example`)", f"Host(`x{DOMAIN}`)", f"{HOME} && PathPrefix(`/x`)", f"!{HOME}", "Path(`/a`)"]
)
def test_without_a_rule_that_matches_nothing_is_asked(rule: str) -> None:
    routing = find_route(document(app=web("a", rule, 8080)), DOMAIN)
    assert routing.route is None
    assert routing.because == f"no Traefik rule routes {DOMAIN}/: {rule}"


@pytest.mark.parametrize(
    "rule", ["Host(``)", f"Host(`{DOMAIN}", f"Host({DOMAIN})", f"{HOME} & PathPrefix(`/`)", "Hots(`a`)"]
)
def test_a_rule_that_traefik_does_not_take_is_red(rule: str) -> None:
    with pytest.raises(RecipeFailedError, match=r"Traefik makes no route to warm-demo\.example of these") as caught:
        found(app=web("a", rule, 8080))
    assert rule in caught.value.message
    assert "DOMAIN" in str(caught.value.hint)


def test_a_broken_rule_beside_the_route_is_said() -> None:
    routing = find_route(document(app=web("a", HOME, 80), other=web("b", "Host(", 81)), DOMAIN)
    assert routing.route == route(port=80)
    assert routing.said[0].startswith("Traefik leaves out: router b: Host(: ")


@pytest.mark.parametrize("port", ["", "http", "80a", "-1", "0", "65536"])
def test_a_port_that_is_none(port: str) -> None:
    labels = service(f"http.routers.a.rule={HOME}", f"http.services.a.loadbalancer.server.port={port}")
    with pytest.raises(RecipeFailedError, match=r"loadbalancer\.server\.port"):
        found(app=labels)
    with pytest.raises(RecipeFailedError, match="port is missing"):
        found(app=service(f"http.routers.a.rule={HOME}"))


def test_a_routed_service_must_be_on_the_proxys_network() -> None:
    app = web("a", HOME, 8080) | {"networks": {"internal": None}}
    with pytest.raises(RecipeFailedError, match=r"services\.app is routed, but not on the network proxy"):
        found(app=app)
    by_name = document(app=app) | {"networks": {"outside": {"external": True, "name": "proxy"}, "internal": None}}
    with pytest.raises(RecipeFailedError, match="not on the network proxy"):
        find_route(by_name, DOMAIN)
    app["networks"]["outside"] = None
    assert find_route(by_name, DOMAIN).route == route()
    del app["networks"]["outside"]
    alone = document(app=app)
    del alone["networks"]["proxy"]
    assert find_route(alone, DOMAIN).route == route()


def test_the_scheme_is_the_labels() -> None:
    for scheme in ("https", "h2c", "HTTPS"):
        app = web("a", HOME, 8080, f"http.services.a.loadbalancer.server.scheme={scheme}")
        assert found(app=app) == route(scheme=scheme.lower())
    with pytest.raises(RecipeFailedError, match="none of Traefik's: 'ftp'"):
        found(app=web("a", HOME, 8080, "http.services.a.loadbalancer.server.scheme=ftp"))


def test_the_router_says_which_of_several_ports() -> None:
    """Matrix: the same rule on a federation port and on the web's."""
    app = service(
        f"http.routers.fed.rule={HOME}",
        "http.routers.fed.entrypoints=federation",
        "http.routers.fed.service=fed",
        "http.services.fed.loadbalancer.server.port=8448",
        f"http.routers.web.rule={HOME}",
        "http.routers.web.service=web@swarm",
        "http.services.web.loadbalancer.server.port=8080",
    )
    assert found(app=app) == route()


def test_one_port_of_several_cannot_be_guessed() -> None:
    app = service(
        f"http.routers.a.rule={HOME}",
        "http.services.x.loadbalancer.server.port=1",
        "http.services.y.loadbalancer.server.port=2",
    )
    with pytest.raises(RecipeFailedError, match="cannot be linked automatically with multiple services: x, y"):
        found(app=app)


def test_a_router_may_lead_to_another_services_port() -> None:
    app = service(
        f"http.routers.a.rule={HOME}", "http.routers.a.service=b", "http.services.a.loadbalancer.server.port=1"
    )
    other = service("http.services.b.loadbalancer.server.port=2")
    assert found(app=app, other=other) == route("other", 2)
    with pytest.raises(RecipeFailedError, match="leads to the service b, which no label defines"):
        found(app=app)


@pytest.mark.parametrize("names", [("app", "web"), ("web", "app")])
def test_the_longer_rule_wins_and_a_priority_over_it(names: tuple[str, str]) -> None:
    special, rest = names
    longer = web("s", f"{HOME} && PathPrefix(`/`)", 1)
    assert found(**{special: longer, rest: web("r", HOME, 2)}) == route(special, 1)
    assert found(**{special: longer, rest: web("r", HOME, 2, "http.routers.r.priority=1000")}) == route(rest, 2)


def test_a_path_leaves_the_rest_to_another_service() -> None:
    services = {"app": web("a", f"{HOME} && PathPrefix(`/api`)", 1), "web": web("w", HOME, 2)}
    assert found(**services) == route("web", 2)


def test_the_path_that_is_asked_decides() -> None:
    services = document(app=web("a", f"{HOME} && PathPrefix(`/api`)", 1), web=web("w", HOME, 2))
    assert find_route(services, DOMAIN, Ask(path="/api/health?deep=1")).route == route(port=1)
    assert find_route(services, DOMAIN, Ask(path="/health")).route == route("web", 2)
    alone = document(app=web("a", f"{HOME} && PathPrefix(`/api`)", 1))
    assert find_route(alone, DOMAIN, Ask(path="/x")).because.startswith(f"no Traefik rule routes {DOMAIN}/x: ")


def test_the_secure_entry_point_is_asked_first() -> None:
    plain = web("p", f"{HOME} && PathPrefix(`/`)", 1, "http.routers.p.entrypoints=web")
    secure = web("s", HOME, 2, "http.routers.s.entryPoints=web-secure")
    assert found(app=plain, other=secure) == route("other", 2)
    assert found(app=plain) == route(port=1)


def test_a_port_of_its_own_is_not_the_web() -> None:
    routing = find_route(document(app=web("fed", HOME, 1, "http.routers.fed.entrypoints=federation")), DOMAIN)
    assert routing.because == f"{DOMAIN} is routed on no web entry point, only: fed on federation"


def test_a_service_of_traefiks_own_is_not_ours() -> None:
    app = web("a", HOME, 8080, "http.routers.a.service=api@internal")
    routing = find_route(document(app=app), DOMAIN)
    assert (routing.route, routing.because) == (None, "router a leads to api@internal, which is not of this recipe")


def test_a_stream_alone_is_not_asked() -> None:
    app = service("tcp.routers.a.rule=HostSNI(`*`)", "tcp.services.a.loadbalancer.server.port=8080")
    routing = find_route(document(app=app | {"ports": [{"target": 22}]}), DOMAIN)
    assert (routing.route, routing.because) == (None, "it has only TCP routers: HostSNI(`*`)")
    assert found(app=app, web=web("w", HOME, 80)) == route("web", 80)


def test_datagrams_alone_are_not_asked() -> None:
    app = service("udp.routers.turn.entrypoints=turn", "udp.services.turn.loadbalancer.server.port=3478")
    assert find_route(document(app=app), DOMAIN).because == "it has only UDP routers: turn"


@pytest.mark.parametrize("truth", ["true", "True", "TRUE", "1", "t", True])
def test_traefiks_truth(truth: object) -> None:
    app = web("a", HOME, 8080)
    app["deploy"]["labels"]["traefik.enable"] = truth
    assert found(app=app) == route()
    app["deploy"]["labels"] = {
        key.replace("http", "HTTP").replace("rule", "Rule"): value for key, value in app["deploy"]["labels"].items()
    }
    assert found(app=app) == route()


def test_disabled_labels_are_as_none() -> None:
    app = web("a", HOME, 8080)
    app["deploy"]["labels"]["traefik.enable"] = "false"
    assert find_route(document(app=app), DOMAIN).because == "no service has traefik.enable=true or publishes a TCP port"
    app["deploy"]["labels"]["traefik.enable"] = "yes"
    with pytest.raises(RecipeFailedError, match="'yes' is neither true nor false"):
        found(app=app)


def test_labels_that_swarm_does_not_read() -> None:
    app = web("a", HOME, 8080)
    app["labels"] = app.pop("deploy")["labels"]
    assert "the Traefik labels of app are not in deploy.labels" in find_route(document(app=app), DOMAIN).because


def test_the_app_comes_first_among_equals() -> None:
    assert found(aaa=web("x", HOME, 1), app=web("y", HOME, 2)) == route(port=2)


def test_without_labels_the_first_tcp_port_counts() -> None:
    text = """
services:
  adminer: {ports: [{target: 1, protocol: tcp}]}
  app: {ports: [{target: 53, protocol: udp}, {target: 80, published: 8080, protocol: tcp}, {target: 81}]}
"""
    assert find_route(yaml.safe_load(text), DOMAIN).route == Route("app", 80, "ports", host=DOMAIN)


def test_a_port_of_another_protocol_is_not_asked() -> None:
    text = "services: {db: {ports: [{target: 5432}]}, app: {ports: [{target: 22, published: 2222}, {target: 3000}]}}"
    assert find_route(yaml.safe_load(text), DOMAIN).route == Route("app", 3000, "ports", host=DOMAIN)
    because = find_route(yaml.safe_load(text.replace("3000", "25")), DOMAIN).because
    assert because == "it has no Traefik labels and publishes only ports of other protocols: app:22, app:25, db:5432"


def test_a_recipe_that_publishes_nothing() -> None:
    text = "services: {app: {image: x, deploy: }, dns: {ports: [{target: 53, protocol: udp}]}}"
    assert find_route(yaml.safe_load(text), DOMAIN).route is None


def test_recipe_toml_has_the_last_word() -> None:
    services = document(app=web("a", HOME, 8080), api=web("b", f"Host(`api.{DOMAIN}`)", 9000))
    assert find_route(services, DOMAIN, Ask(host=f"api.{DOMAIN}")).route == Route(
        "api", 9000, "traefik", "http", f"api.{DOMAIN}"
    )
    assert find_route(services, DOMAIN, Ask("https://api:1")).route == Route("api", 1, "recipe.toml", "https", DOMAIN)
    assert find_route(services, DOMAIN, Ask("none")).because == 'recipe.toml says route = "none"'
    with pytest.raises(RecipeFailedError, match="routes nosuch, which is no service"):
        find_route(services, DOMAIN, Ask("nosuch:80"))
