"""What doctor says of a Keycloak that is absent, down, misnamed, crowded, or of another time."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx
from pydantic import SecretStr

from warmci.base import names
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.live import footprint, keycloak_json, preflight
from warmci.live.keycloak_json import LiveRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warmci.base.findings import Check

URL = "http://warm-keycloak.warmci.localhost:20000"
DISPLAY = "warmci run=r owner=o host=h created=2026-11-24T12:00:00+00:00 ttl_s=60"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    facts: dict[str, Any] = {"state_dir": open_state(tmp_path / "state", floor_bytes=0).dir}
    found = Settings(**facts, realm_warn=2, realm_max=3)
    record = LiveRecord(url=URL, version="26.7.3", client_id="warmci-x", client_secret=SecretStr("canary"))
    keycloak_json.save_live(found, record)
    return found


def token(skew_s: float) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"iat": int(time.time() + skew_s)}).encode()).decode().rstrip("=")
    return f"head.{payload}.signature"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.MockRouter]:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/realms/master").respond(json={"realm": "master"})
        router.get("/realms/master/.well-known/openid-configuration", name="discovery").respond(
            json={"issuer": f"{URL}/realms/master"}
        )
        router.post("/realms/master/protocol/openid-connect/token", name="token").respond(
            json={"access_token": token(0), "expires_in": 60}
        )
        router.get("/admin/realms", name="list").respond(json=[])
        router.post("/admin/realms", name="create").respond(201)
        router.delete(url__regex=r"/admin/realms/ci-doctor-[0-9a-f]{8}", name="delete").respond(204)
        yield router


def found(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in preflight.examine(settings)}


def test_all_well(server: respx.MockRouter, settings: Settings) -> None:
    checks = found(settings)
    assert {check.status for check in checks.values()} == {"ok"}
    assert list(checks) == ["Keycloak", "Keycloak rights", "Keycloak realms", "Keycloak clock"]
    assert (server["create"].call_count, server["delete"].call_count) == (1, 1)


def test_no_live_keycloak(server: respx.MockRouter, settings: Settings) -> None:
    (settings.live_dir / "keycloak.json").unlink()
    (check,) = found(settings).values()
    assert (check.status, check.hint) == ("warning", "warmci keycloak reconcile")


def test_down_or_misnamed(server: respx.MockRouter, settings: Settings) -> None:
    server["discovery"].respond(json={"issuer": "http://elsewhere/realms/master"})
    (check,) = found(settings).values()
    assert check.status == "failed"
    assert "calls itself http://elsewhere" in check.detail
    server.get("/realms/master").mock(side_effect=httpx.ConnectError("refused"))
    assert "does not answer" in found(settings)["Keycloak"].detail


def test_an_account_that_may_not_make_realms(server: respx.MockRouter, settings: Settings) -> None:
    server["create"].respond(403, json={"error": "HTTP 403 Forbidden"})
    check = found(settings)["Keycloak rights"]
    assert check.status == "failed"
    assert "create-realm" in check.hint
    assert found(settings)["Keycloak clock"].status == "ok"


@pytest.mark.parametrize(("number", "status"), [(1, "ok"), (2, "warning"), (3, "failed")])
def test_the_number_of_realms(server: respx.MockRouter, settings: Settings, number: int, status: str) -> None:
    server["list"].respond(json=[{"realm": f"ci-{n}", "displayName": DISPLAY} for n in range(number)])
    check = found(settings)["Keycloak realms"]
    assert (check.status, bool(check.hint)) == (status, status != "ok")


@pytest.mark.parametrize(("skew_s", "status"), [(0, "ok"), (3, "ok"), (-90, "failed"), (90, "failed")])
def test_clocks(server: respx.MockRouter, settings: Settings, skew_s: float, status: str) -> None:
    server["token"].respond(json={"access_token": token(skew_s), "expires_in": 60})
    assert found(settings)["Keycloak clock"].status == status


def test_large_data_is_warned_of(
    server: respx.MockRouter, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of this host's own one, whose volumes are here; no engine answers."""
    own = settings.model_copy(update={"docker_host": f"unix://{tmp_path}/none.sock"})
    record = keycloak_json.load_live(own)
    assert record is not None
    record = record.model_copy(update={"generation": names.new_id()})
    keycloak_json.save_live(own, record)
    volumes = keycloak_json.generation_dir(own, record.generation) / "volumes"
    volumes.mkdir(parents=True)
    (volumes / "database").write_bytes(b"x" * 2**21)
    check = found(own)["Keycloak size"]
    assert (check.status, check.detail) == ("ok", "data 2 MiB, memory unknown")
    monkeypatch.setattr(footprint, "DATA_WARN", 2**21)
    check = found(own)["Keycloak size"]
    assert check.status == "warning"
    assert "warmci keycloak down" in check.hint
