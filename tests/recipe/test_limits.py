"""How long a recipe may take, and how long its names may be."""

from __future__ import annotations

from typing import Any

import pytest

from warmci.base.errors import RecipeFailedError, UsageError
from warmci.base.names import cold_domain, cold_stack
from warmci.recipe.limits import asked_seconds, require_distinct_ports, require_short_names, too_long_elsewhere


def document(*labels: dict[str, str | None] | None) -> dict[str, Any]:
    return {"services": {f"s{number}": {"deploy": {"labels": each}} for number, each in enumerate(labels)}}


@pytest.mark.parametrize(
    ("labels", "env", "seconds"),
    [
        ([None, {}], {}, 0),
        ([{}], {"TIMEOUT": "900"}, 900),
        ([{"coop-cloud.st.timeout": "120"}, {"coop-cloud.st.timeout": "300"}], {}, 300),
        ([{"coop-cloud.st.timeout": "120"}], {"TIMEOUT": "900"}, 900),
        ([{"coop-cloud.other.timeout": "120", "coop-cloud.st.timeout": ""}], {"TIMEOUT": ""}, 0),
    ],
)
def test_the_longest_patience_that_is_asked_for(
    labels: list[dict[str, str | None]], env: dict[str, str], seconds: float
) -> None:
    assert asked_seconds(document(*labels), "st", env) == (seconds, [])


@pytest.mark.parametrize("text", ["5m", "-1", "1e9", "9" * 400, "٣", " 5"])
def test_what_is_no_number_of_seconds_is_said(text: str) -> None:
    seconds, said = asked_seconds(document({"coop-cloud.st.timeout": text}, {}), "st", {"TIMEOUT": text})
    assert seconds == 0
    assert [line.partition(" is no number")[0] for line in said] == ["TIMEOUT", "the label timeout of service s0"]


def test_names_are_as_long_as_swarm_allows() -> None:
    stack = "a" * 20
    fits: dict[str, Any] = {
        "services": {"s" * 42: {}},
        "secrets": {
            "x" * 80: {"external": True, "name": "n" * 64},
            "o": {"external": {"name": "n"}},
            "k" * 43: {},
        },
        "configs": {"c" * 43: None},
    }
    require_short_names(fits, stack)
    for change, said in (
        ({"services": {"s" * 43: {}}}, "service's name a+_s+ has 64 characters, Swarm allows 63"),
        ({"configs": {"c": {"name": "n" * 65}}}, "config's name n+ has 65 characters, Swarm allows 64"),
        ({"secrets": {"k" * 44: {"file": "x"}}}, "secret's name a+_k+ has 65 characters"),
    ):
        with pytest.raises(UsageError, match=said) as caught:
            require_short_names({**fits, **change}, stack)
        assert "shorten it by 1; at a canonical's domain a shorter base_domain" in str(caught.value.hint)


def test_a_name_that_will_be_too_long_at_the_canonicals_domain_is_said_before() -> None:
    made = {
        "services": {"s" * 40: {}, "app": {}},
        "configs": {"c": {"name": "cold_" + "c" * 50}, "x": {"name": "y" * 64}},
    }
    require_short_names({"services": made["services"]}, "cold")
    (said,) = too_long_elsewhere(made, "cold", "warm-long_ci_example_org")
    assert said.startswith(f"at the canonical's domain the name warm-long_ci_example_org_{'s' * 40} has 65 characters")
    assert too_long_elsewhere(made, "cold", "cold") == []


def test_a_cold_stack_leaves_room_for_a_service_of_fifty_characters() -> None:
    domain = cold_domain("nextcloud", "a-long-base-domain.of-a.host.example.org")
    assert domain.startswith(f"{cold_stack(domain)}.")
    require_short_names({"services": {"s" * 50: {}}}, cold_stack(domain))


def port(published: int | None, protocol: str = "tcp", mode: str = "ingress") -> dict[str, Any]:
    return {"target": 80, "protocol": protocol, "mode": mode, **({"published": published} if published else {})}


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (port(8000), port(8000), True),
        (port(8000), port(8001), False),
        (port(8000), port(8000, "udp"), False),
        (port(8000, mode="host"), port(8000, mode="host"), False),
        (port(None), port(None), False),
    ],
)
def test_a_port_that_two_services_publish_is_told_though_we_publish_none(
    first: dict[str, Any], second: dict[str, Any], told: bool
) -> None:
    wanted = {"services": {"a": {"ports": [first]}, "b": {"ports": [second]}, "c": {}}}
    if not told:
        require_distinct_ports(wanted)
        return
    with pytest.raises(RecipeFailedError, match="port 8000/tcp is published by a and by b"):
        require_distinct_ports(wanted)
