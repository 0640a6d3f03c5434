"""Doctor on the operator's side, against a real repository, a forge and a webhook that answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.forge_server import TOKEN, FakeForge, serving
from support.upstream import Upstream
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.operate import doctor_host
from warmci.report import alerts
from warmci.report.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def mask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def examined(**values: object) -> dict[str, tuple[str, str, str]]:
    checks = doctor_host.examine(Settings.model_validate(values))
    return {check.name: (check.status, check.detail, check.hint) for check in checks}


def test_all_that_is_set_is_asked(tmp_path: Path) -> None:
    commit = Upstream(tmp_path / "recipes" / "miniflux").commit("first")
    (tmp_path / "operator" / "miniflux").mkdir(parents=True)
    (tmp_path / "operator" / "miniflux" / "recipe.toml").write_text('health_path = "/"\n', encoding="utf-8")
    state = open_state(tmp_path / "state", floor_bytes=0).dir
    with serving(FakeForge()) as forge:
        found = examined(
            state_dir=state,
            recipes_dir=tmp_path / "operator",
            recipe_source=f"{tmp_path}/recipes/{{recipe}}",
            recipes=("miniflux",),
            forge_url=forge.url,
            forge_token=TOKEN,
            alert_webhook=f"{forge.url}/hook/canary-secret",
        )
    assert {name: status for name, (status, _, _) in found.items() if status != "ok"} == {}
    assert found["recipe_source"][1] == f"miniflux is at {commit[:12]}"
    assert "1 with a recipe.toml" in found["recipes_dir"][1]
    assert forge.url in found["forge"][1]
    assert "no alert was sent" in found["alert webhook"][1]
    assert "canary-secret" not in str(found)
    assert TOKEN not in str(found)


def test_what_is_wrong_is_said_with_its_command(tmp_path: Path) -> None:
    state = open_state(tmp_path / "state", floor_bytes=0).dir
    (tmp_path / "operator" / "miniflux").mkdir(parents=True)
    (tmp_path / "operator" / "miniflux" / "recipe.toml").write_text("health_pth = 1\n", encoding="utf-8")
    with serving(FakeForge(failing=[401])) as forge:
        values = {
            "state_dir": state,
            "recipes_dir": tmp_path / "operator",
            "recipe_source": f"{tmp_path}/none/{{recipe}}",
            "recipes": ("miniflux",),
            "forge_url": forge.url,
            "forge_token": TOKEN,
        }
        settings = Settings.model_validate(values)
        alerts.alert(settings, Console(quiet=True), "sweep", "it was red", "warmci sweep")
        found = examined(**values, alert_webhook="http://127.0.0.1:9/canary-secret")
    assert found["recipes_dir"][0] == "failed"
    assert "did you mean health_path" in found["recipes_dir"][1]
    assert found["recipe_source"][0] == "failed"
    assert found["forge"][0] == "failed"
    assert "401" in found["forge"][1]
    assert found["alert webhook"] == ("failed", "127.0.0.1: ConnectError", "set alert_webhook")
    assert found["alert"] == ("warning", "sweep: it was red", "warmci sweep")
    assert "canary-secret" not in str(found)


def test_whether_reports_show_apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    values = {"state_dir": open_state(tmp_path / "state", floor_bytes=0).dir, "recipes_dir": tmp_path}
    assert "Debian's package chromium" in examined(**values)["screenshots"][1]
    (tmp_path / "chromium").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "chromium").chmod(0o755)
    assert examined(**values)["screenshots"] == ("ok", f"{tmp_path}/chromium draws apps for the reports", "")
    assert "as the setting says" in examined(**values, screenshots="never")["screenshots"][1]
