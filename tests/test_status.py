"""Status shows what is there and goes on when one thing cannot be looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from trees import canonical_of, save
from warmci import alerts, cli, status
from warmci.canonical import CanonicalStore
from warmci.console import Console
from warmci.settings import Settings
from warmci.state import open_state

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    state = open_state(tmp_path / "state", floor_bytes=0).dir
    monkeypatch.setenv("WARMCI_STATE_DIR", str(state))
    facts: dict[str, Any] = {"state_dir": state}
    return Settings(**facts)


def test_nothing_yet(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert (seen["canonicals"], seen["keycloak"], seen["alerts"], seen["problems"]) == ([], None, [], [])
    assert cli.main(["status"]) == 0
    assert "no live one" in capsys.readouterr().err


def test_canonicals_and_alerts(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    CanonicalStore(settings.state_dir).commit(canonical_of(save(settings.state_dir)))
    alerts.alert(settings, Console(quiet=True), "keycloak", "it was rolled back", "warmci keycloak reconcile")
    seen = status.look(settings)
    assert [(item.recipe, item.state) for item in seen.canonicals] == [("demo", "good")]
    assert [item.message for item in seen.alerts] == ["it was rolled back"]
    assert cli.main(["status"]) == 0
    said = capsys.readouterr().err
    assert "it was rolled back" in said
    assert "hint: warmci keycloak reconcile" in said
    assert "canary" not in said + seen.model_dump_json()


def test_one_unreadable_file_hides_nothing_else(settings: Settings) -> None:
    alerts.alert(settings, Console(quiet=True), "sweep", "it is red", "warmci status")
    settings.live_dir.mkdir(mode=0o700)
    (settings.live_dir / "keycloak.json").write_text("{")
    seen = status.look(settings)
    assert [item.subject for item in seen.alerts] == ["sweep"]
    assert len(seen.problems) == 1
    assert "keycloak.json is not readable" in seen.problems[0]
