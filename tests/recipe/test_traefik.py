"""Rules and labels, read as Traefik reads them: tests/data/traefik.json has its own answers."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.traefik_oracle import GOLDEN
from warmci.recipe.traefik_labels import read_labels
from warmci.recipe.traefik_match import V2, V3, Request, readings
from warmci.recipe.traefik_rules import MAX_LENGTH, RuleError, parse

SEEN: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = json.loads(GOLDEN.read_text(encoding="utf-8"))


def ours(question: dict[str, str]) -> tuple[bool, bool]:
    """(Traefik takes the rule, it matches)."""
    try:
        return True, readings(question["rule"], question["syntax"])[0].matches(Request(question["host"].lower()))
    except RuleError:
        return False, False


def routers_of(services: dict[str, dict[str, str]]) -> dict[str, Any]:
    found = read_labels({name: {"deploy": {"labels": labels}} for name, labels in services.items()})
    routers = {
        router.name: {
            "Rule": router.rule,
            "Service": router.service,
            "Syntax": router.syntax,
            "EntryPoints": list(router.entry_points) or None,
            "Priority": router.priority,
            "TLS": router.tls,
        }
        for router in found.routers
    }
    return {
        "routers": routers,
        "services": set(found.backends),
        "tcp": {router.name: router.rule for router in found.tcp_routers},
    }


def test_rules_are_read_as_traefik_reads_them() -> None:
    different = [
        (asked, told) for asked, told in SEEN["rules"] if ours(asked) != (bool(told["ok"]), bool(told["match"]))
    ]
    assert different == []
    taken = [told["match"] for _, told in SEEN["rules"] if told["ok"]]
    assert len(set(taken)) == 2, "rules that match, and rules that do not"
    assert 50 < len(taken) < len(SEEN["rules"]) - 50


def test_labels_are_read_as_traefik_reads_them() -> None:
    different = [
        (asked, told)
        for asked, told in SEEN["labels"]
        if routers_of(asked["services"]) != {**told, "services": set(told["services"])}
    ]
    assert different == []
    assert sum(bool(told["routers"]) for _, told in SEEN["labels"]) > 10


@given(st.text(alphabet='Host()`"&|! \n,/*\\xé1.{}', max_size=40))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    for matchers in (V2, V3):
        with suppress(RuleError):
            parse(text, matchers)


@pytest.mark.parametrize(
    "rule", ["(" * 5000 + "Host(`a`)" + ")" * 5000, "!" * 9000 + "Host(`a`)", "x" * (MAX_LENGTH + 1)]
)
def test_a_rule_costs_little(rule: str) -> None:
    with pytest.raises(RuleError):
        parse(rule, V3)


def test_a_strangers_regular_expression_is_linear() -> None:
    rule = readings("HostRegexp(`^(a+)+$`)", "v3")[0]
    assert not rule.matches(Request("a" * 60_000 + "b"))


def test_several_names_are_v2() -> None:
    """As EXTRA_DOMAINS makes them; Traefik 3 reads them where its default syntax is v2."""
    assert [rule.syntax for rule in readings("Host(`a.org`, `b.org`)")] == ["v2"]
    assert [rule.syntax for rule in readings("Host(`a.org`)")] == ["v3", "v2"]
    with pytest.raises(RuleError, match="unexpected number of parameters"):
        readings("Host(`a.org`, `b.org`)", "v3")
