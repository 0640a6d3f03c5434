"""Whether runs can use a Keycloak: healthy is not enough, it has to take the account."""

from __future__ import annotations

import threading
from contextlib import ExitStack, nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx
from pydantic import SecretStr

from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.live import keycloak_json
from warmci.live.keycloak_json import LiveRecord
from warmci.report.console import Console
from warmci.run import dependencies
from warmci.sso import keycloak_app
from warmci.sso.admin_rest import KeycloakAccess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "http://warm-keycloak.warmci.localhost:20000"
TOKEN = "/realms/master/protocol/openid-connect/token"
ACCESS = KeycloakAccess(url=URL, client_id="warmci", client_secret=SecretStr("canary"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    facts: dict[str, Any] = {"state_dir": open_state(tmp_path / "state", floor_bytes=0).dir}
    return Settings(**facts)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.MockRouter]:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/realms/master", name="master").respond(json={"realm": "master"})
        issuer = {"issuer": f"{URL}/realms/master"}
        router.get("/realms/master/.well-known/openid-configuration").respond(json=issuer)
        router.post(TOKEN, name="token").respond(json={"access_token": "t", "expires_in": 60})
        yield router


def test_healthy_and_known(server: respx.MockRouter, settings: Settings) -> None:
    assert keycloak_app.unusable(settings, ACCESS) is None


def test_healthy_but_the_account_is_refused(server: respx.MockRouter, settings: Settings) -> None:
    server["token"].respond(401, json={"error": "unauthorized_client"})
    assert keycloak_app.unhealthy(settings, URL) is None
    reason = keycloak_app.unusable(settings, ACCESS) or ""
    assert "refuses the login of client warmci" in reason
    assert "canary" not in reason


def test_down(server: respx.MockRouter, settings: Settings) -> None:
    server["master"].mock(side_effect=httpx.ConnectError("refused"))
    assert "does not answer" in (keycloak_app.unusable(settings, ACCESS) or "")
    assert server["token"].call_count == 0


class Run:
    """Of a run's context, what the choice of a Keycloak needs."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.console, self.cleanup = settings, Console(quiet=True), ExitStack()
        self.dependencies: dict[str, str] = {}


@pytest.mark.parametrize("refused", [True, False])
def test_a_run_does_without_a_keycloak_that_refuses_it(
    server: respx.MockRouter, settings: Settings, refused: bool
) -> None:
    record = LiveRecord(url=URL, version="26.7.3", client_id="warmci", client_secret=SecretStr("canary"))
    keycloak_json.save_live(settings, record)
    if refused:
        server["token"].respond(401, json={"error": "unauthorized_client"})
    run: Any = Run(settings)
    found = dependencies._live(run)
    said = run.dependencies["keycloak"]
    assert (found is None) == refused
    assert said.startswith("co-deployed cold, because: " if refused else "live-warm 26.7.3 at ")
    run.cleanup.close()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_realm_goes_when_each_app_that_was_told_of_it_has_let_go(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    gone = threading.Event()
    serving = SimpleNamespace(url=URL)
    monkeypatch.setattr(dependencies, "_live", lambda _: serving)
    monkeypatch.setattr(dependencies, "_spec", lambda *_: None)
    monkeypatch.setattr(dependencies, "_create", lambda *_, **__: None)
    monkeypatch.setattr(dependencies, "_delete", lambda *_: gone.set())
    run: Any = Run(settings)
    run.config = SimpleNamespace(sso=None)
    run.request = SimpleNamespace(recipe="demo", pr="", ref="")
    run.shielded = nullcontext
    app: Any = SimpleNamespace(url=URL)
    realm = dependencies.open_realm(run, [app] * number)
    for _ in range(number - 1):
        realm.release()
    assert realm.deletion is not None
    assert realm.deletion.users == 1
    assert not gone.is_set()
    realm.release()
    assert gone.wait(60)
    run.cleanup.close()
