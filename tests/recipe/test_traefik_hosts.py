"""Rules that would take a neighbour's traffic at a shared Traefik."""

from __future__ import annotations

from typing import Any

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from warmci.base.errors import RecipeFailedError
from warmci.recipe import trust_gate
from warmci.recipe.traefik_hosts import foreign_hosts, requires

DOMAIN = "x.example.com"
QUIET = re2.Options()
QUIET.log_errors = False


def document(rule: str, kind: str = "http") -> dict[str, Any]:
    return {"services": {"app": {"deploy": {"labels": {f"traefik.{kind}.routers.a.rule": rule}}}}}


def hosts(rule: str, kind: str = "http") -> list[str]:
    return [host for _, host in foreign_hosts(document(rule, kind), DOMAIN)]


@pytest.mark.parametrize(
    "rule",
    [
        f"Host(`{DOMAIN}`)",
        f"Host(`{DOMAIN}`, `www.{DOMAIN}`)",
        f"Host(`{DOMAIN.upper()}.`) || Host(`1.{DOMAIN}`)",
        f"Host(`{DOMAIN}`) && (PathPrefix(`/`) || Header(`a`, `b`))",
        f"HostRegexp(`^(www.)?{DOMAIN}`)",
        r"HostRegexp(`^(www|api)\.x\.example\.com$`)",
        f"HostRegexp(`^{DOMAIN}$|^www.{DOMAIN}$`)",
        f"HostRegexp(`^(?:{DOMAIN}|(?P<w>www.{DOMAIN}))$`)",
        f"HostRegexp(`{{sub:[a-z]+}}.{DOMAIN}`)",
        f"Host(`{DOMAIN}`) && !Path(`/x`)",
        "no rule at all",
    ],
)
def test_the_apps_own_hosts(rule: str) -> None:
    assert hosts(rule) == []


@pytest.mark.parametrize(
    ("rule", "host"),
    [
        ("Host(`other.org`)", "other.org"),
        (f"Host(`{DOMAIN}`, `keycloak.example.com`)", "keycloak.example.com"),
        (f"Host(`{DOMAIN}`) || Host(`example.com`)", "example.com"),
        (f'Host(`{DOMAIN}`) || HOST("\\x6fther.org")', "other.org"),
        (f"Host(`x{DOMAIN}`)", f"x{DOMAIN}"),
        (f"Host(`{DOMAIN}.evil.org`)", f"{DOMAIN}.evil.org"),
        ("HostHeader(`other.org`)", "other.org"),
        ("HostRegexp(`.+`)", ".+"),
        (f"HostRegexp(`^({DOMAIN}|keycloak.org)$`)", f"^({DOMAIN}|keycloak.org)$"),
        (f"HostRegexp(`({DOMAIN})?keycloak.org`)", f"({DOMAIN})?keycloak.org"),
        (f"HostRegexp(`^[{DOMAIN}]+$`)", f"^[{DOMAIN}]+$"),
        (rf"HostRegexp(`{DOMAIN}[\](]|keycloak.org[\])]`)", rf"{DOMAIN}[\](]|keycloak.org[\])]"),
        (f"HostRegexp(`{DOMAIN}[^](]?|keycloak.org[^])]?`)", f"{DOMAIN}[^](]?|keycloak.org[^])]?"),
        (rf"HostRegexp(`{DOMAIN}\Q(\E|keycloak.org`)", rf"{DOMAIN}\Q(\E|keycloak.org"),
        ("PathPrefix(`/`)", "*"),
        (f"!Host(`{DOMAIN}`)", "*"),
        (f"Host(`{DOMAIN}`) || Path(`/login`)", "*"),
        (f"Host(`{DOMAIN}`) || !Query(`a`)", "*"),
    ],
)
def test_a_neighbours_host(rule: str, host: str) -> None:
    assert host in hosts(rule)


def test_an_escaped_letter_is_a_class_and_no_letter() -> None:
    assert requires(r"^warm\.org$", "warm.org")
    assert not requires(r"^\warm\.org$", "warm.org")


def test_streams() -> None:
    assert hosts("HostSNI(`*`)", "tcp") == []
    assert hosts(f"HostSNI(`{DOMAIN}`)", "tcp") == []
    assert hosts("HostSNI(`other.org`)", "TCP") == ["other.org"]
    assert hosts("HostSNIRegexp(`.*`)", "tcp") == [".*"]


@pytest.mark.parametrize(
    ("rule", "more", "refused"),
    [
        ("HostSNI(`*`)", {}, True),
        ("HostSNI(`*`)", {"traefik.tcp.routers.A.entryPoints": "ssh, web-secure"}, True),
        ("HostSNI(`*`)", {"traefik.tcp.routers.a.entrypoints": "ssh"}, False),
        ("HostSNI(`*`)", {"traefik.tcp.routers.b.entrypoints": "ssh"}, True),
        ("ClientIP(`10.0.0.0/8`)", {}, True),
        (f"!HostSNI(`{DOMAIN}`)", {}, True),
        (f"HostSNI(`{DOMAIN}`) && ClientIP(`10.0.0.0/8`)", {}, False),
    ],
)
def test_a_stream_that_takes_all_of_a_shared_entry_point(rule: str, more: dict[str, str], refused: bool) -> None:
    """Traefik asks its TCP routers before those of web sites: such a one would answer for everybody on port 80."""
    made = document(rule, "tcp")
    made["services"]["app"]["deploy"]["labels"] |= more
    assert list(foreign_hosts(made, DOMAIN)) == []
    assert ("*" in [host for _, host in foreign_hosts(made, DOMAIN, shared=True)]) is refused


def test_the_gate_refuses_it_by_its_label_and_lets_it_in_by_its_word() -> None:
    made = document("Host(`other.org`)")
    with pytest.raises(
        RecipeFailedError, match=r"traefik\.http\.routers\.a\.rule routes other\.org, a host outside x"
    ) as caught:
        trust_gate.check(made, "x_example_com", DOMAIN, [])
    assert '"host:other.org"' in str(caught.value.hint)
    assert trust_gate.check(made, "x_example_com", DOMAIN, ["host:other.org"]) == [
        "allowed by the operator: host:other.org"
    ]


PIECES = st.sampled_from(
    [
        *("a", ".", DOMAIN, DOMAIN.replace(".", r"\."), "keycloak.org", "(", ")", "|", "?", "*", "+", "[a]", "^", "$"),
        *(r"\Q", r"\E", "[", "]", r"[\]", "[^]", "[]", r"\w", "[[:alpha:]]", r"\\", "{2}", "(?:"),
    ]
)


@settings(max_examples=1000)
@given(st.lists(PIECES, max_size=10).map("".join), st.sampled_from(["keycloak.org", "a", "", "aa.org"]))
def test_what_is_said_to_require_the_domain_does(pattern: str, host: str) -> None:
    """Whatever Traefik's engine finds in a host without the domain is never called the app's own."""
    try:
        compiled = re2.compile(pattern, QUIET)
    except re2.error:
        return
    if requires(pattern, DOMAIN):
        match = compiled.search(host)
        assert match is None, f"{pattern} matches {host}"


@pytest.mark.parametrize("depth", [15, 100, 450, 2000])
def test_groups_in_groups_are_refused_where_they_go_too_deep(depth: int) -> None:
    """No recursion without an end: it would be a bug in place of a refusal."""
    found = hosts(f"HostRegexp(`^{'(' * depth}{DOMAIN}{')' * depth}$`)")
    assert bool(found) == (depth >= 20)
