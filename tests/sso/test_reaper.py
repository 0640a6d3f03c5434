"""Which realms are stale, and that a pass deletes only what two looks and the realm itself agree on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from warmci.base import http
from warmci.sso import admin_rest, realm_lifecycle, reaper
from warmci.sso.reaper import StaleRealm, plan_reap, reap_stale_realms

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "http://warm-keycloak.warmci.localhost:20000"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.MockRouter]:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        answer = {"access_token": "t", "expires_in": 60}
        router.post("/realms/master/protocol/openid-connect/token").respond(200, json=answer)
        yield router


@pytest.fixture
def subject() -> Iterator[admin_rest.Keycloak]:
    access = admin_rest.KeycloakAccess(url=URL, client_id="warmci-1", client_secret=SecretStr("x"))
    with http.client(base_domain="warmci.localhost", address="127.0.0.1") as client:
        yield admin_rest.Keycloak(access, client)


def realm(
    name: str, run: str = "dead", owner: str = "us", age: timedelta = timedelta(), ttl_s: int = 86400
) -> realm_lifecycle.Realm:
    return realm_lifecycle.Realm(name=name, run=run, owner=owner, host="h", created=NOW - age, ttl_s=ttl_s)


def is_alive(run: str) -> bool:
    return run == "live"


def test_plan_follows_the_lock_and_for_others_their_own_ttl() -> None:
    realms = [
        realm("young-dead"),
        realm("old-live", run="live", age=9 * DAY),
        realm("foreign-old", owner="them", age=3 * DAY),
        realm("foreign-young", owner="them", age=DAY / 2),
        realm("foreign-patient", owner="them", age=3 * DAY, ttl_s=9 * 86400),
    ]
    planned = plan_reap(realms, "us", is_alive, NOW)
    assert [item.realm.name for item in planned] == ["young-dead", "foreign-old"]
    assert planned[0].reason == "its run dead is dead"
    assert planned[1].reason == "made by h, older than its 86400 s"


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(-10, 10))))
def test_no_live_run_and_no_young_stranger_is_ever_planned(facts: list[tuple[bool, bool, int]]) -> None:
    realms = [
        realm(f"ci-{n}", run="live" if live else "dead", owner="us" if ours else "them", age=age * DAY / 5)
        for n, (live, ours, age) in enumerate(facts)
    ]
    for item in plan_reap(realms, "us", is_alive, NOW):
        assert item.realm.run == "dead" or item.realm.owner == "them"
        assert item.realm.owner == "us" or NOW - item.realm.created > DAY


def stale(*names: str) -> tuple[StaleRealm, ...]:
    return tuple(StaleRealm(realm=realm(f"ci-{name}"), reason="r") for name in names)


def holds(owner: str) -> httpx.Response:
    return httpx.Response(200, json={"attributes": {"warmci.run": "dead", "warmci.owner": owner}})


def test_reap_looks_again_and_goes_on(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    server.get("/admin/realms/ci-stuck").mock(return_value=holds("us"))
    server.delete("/admin/realms/ci-stuck").respond(400, json={"error": "no"})
    server.get("/admin/realms/ci-other").mock(return_value=holds("them"))
    server.get("/admin/realms/ci-plain").respond(json={"realm": "ci-plain"})
    server.get("/admin/realms/ci-gone").respond(404, json={"error": "Realm not found."})
    server.get("/admin/realms/ci-dead").mock(return_value=holds("us"))
    server.delete("/admin/realms/ci-dead").respond(204)
    plan = stale("stuck", "other", "plain", "gone", "dead", "revived")
    reaped = reap_stale_realms(subject, plan, lambda: plan[:-1], most=50)
    assert reaped.deleted == ("ci-dead",)
    assert list(reaped.failed) == ["ci-stuck"]
    assert "stays behind" in reaped.failed["ci-stuck"]
    assert reaped.postponed == ()


def test_a_pass_is_bounded(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    server.get(url__regex=r"/admin/realms/ci-\d").mock(return_value=holds("us"))
    deletion = server.delete(url__regex=r"/admin/realms/ci-\d").respond(204)
    plan = stale("1", "2", "3")
    reaped = reap_stale_realms(subject, plan, lambda: plan, most=2)
    assert (reaped.deleted, reaped.postponed) == (("ci-1", "ci-2"), ("ci-3",))
    assert deletion.call_count == 2


def test_nothing_stale_costs_no_grace(subject: admin_rest.Keycloak, monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> tuple[StaleRealm, ...]:
        raise AssertionError("no second look without a first find")

    monkeypatch.setattr(reaper, "time", None)
    assert reap_stale_realms(subject, (), never, most=1) == reaper.Reaped()
