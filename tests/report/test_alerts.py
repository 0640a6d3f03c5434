"""Alerts: one per subject, kept until cleared, posted once; a webhook can neither fail nor leak."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx

from support import hostile_server
from warmci.base.errors import InfraError
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.report import alerts
from warmci.report.console import Console

if TYPE_CHECKING:
    from pathlib import Path

HOOK = "https://hooks.example.org/secret-canary"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    state = open_state(tmp_path / "state", floor_bytes=0)
    facts: dict[str, Any] = {"state_dir": state.dir, "alert_webhook": HOOK}
    return Settings(**facts)


def raise_it(settings: Settings, message: str = "it is down", subject: str = "keycloak") -> None:
    alerts.alert(settings, Console(), subject, message, "warmci doctor")


@respx.mock
def test_an_alert_stands_until_it_is_cleared_and_is_posted_once(settings: Settings) -> None:
    hook = respx.post(HOOK).respond(204)
    settings = settings.model_copy(update={"site_url": "https://ci.example.org/"})
    raise_it(settings)
    raise_it(settings)
    (standing,) = alerts.standing(settings)
    assert (standing.subject, standing.message, standing.hint) == ("keycloak", "it is down", "warmci doctor")
    assert hook.call_count == 1
    raised = json.loads(hook.calls[0].request.content)
    assert (raised["message"], raised["state"]) == ("it is down", "raised")
    assert raised["text"].endswith(": it is down; warmci doctor")
    assert raised["link"] == "https://ci.example.org/"
    raise_it(settings, "it is still down, differently")
    raise_it(settings, subject="sweep")
    assert [item.subject for item in alerts.standing(settings)] == ["keycloak", "sweep"]
    assert hook.call_count == 3
    file = settings.state_dir / ".alerts" / "sweep.json"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    alerts.clear(settings, "keycloak")
    alerts.clear(settings, "keycloak")
    assert [item.subject for item in alerts.standing(settings)] == ["sweep"]
    assert hook.call_count == 4
    resolved = json.loads(hook.calls[3].request.content)
    assert (resolved["subject"], resolved["state"]) == ("keycloak", "resolved")
    assert resolved["text"].endswith(": resolved: it is still down, differently")


@pytest.mark.parametrize(
    "answer", [httpx.ConnectError(f"no route to {HOOK}"), httpx.Response(500), httpx.Response(302)]
)
def test_a_webhook_that_fails_is_a_warning_without_its_url(
    settings: Settings, answer: httpx.Response | Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with respx.mock:
        respx.post(HOOK).mock(side_effect=[answer])
        raise_it(settings)
    said = capsys.readouterr().err
    assert "warning: the alert webhook did not take it" in said
    assert "canary" not in said
    assert len(alerts.standing(settings)) == 1


def test_a_webhook_that_drips_or_floods_is_left_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(alerts, "_WEBHOOK_TIMEOUT_S", 1.0)
    state = open_state(tmp_path / "state", floor_bytes=0)
    with hostile_server.running() as port:
        for path in ("slow-body", "endless"):
            facts: dict[str, Any] = {"state_dir": state.dir, "alert_webhook": f"http://127.0.0.2:{port}/{path}"}
            began = time.monotonic()
            raise_it(Settings(**facts), subject=path)
            assert time.monotonic() - began < 10  # the body alone drips for hours
    assert capsys.readouterr().err.count("warning: the alert webhook did not take it") == 2


def test_secrets_are_masked(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.redact.add("pass-canary")
    with respx.mock:
        hook = respx.post(HOOK).respond(200)
        alerts.alert(settings, console, "keycloak", "login with pass-canary failed", "try pass-canary")
        assert b"canary" not in hook.calls[0].request.content
    text = (settings.state_dir / ".alerts" / "keycloak.json").read_text(encoding="utf-8")
    assert "canary" not in text + capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 2}'])
def test_an_unreadable_alert_is_said(settings: Settings, text: str) -> None:
    directory = settings.state_dir / ".alerts"
    directory.mkdir()
    (directory / "keycloak.json").write_text(text)
    with pytest.raises(InfraError, match=r"keycloak.json is not readable"):
        alerts.standing(settings)


def test_subjects_are_no_paths(settings: Settings) -> None:
    with pytest.raises(ValueError, match="x"):
        raise_it(settings, subject="../x")
