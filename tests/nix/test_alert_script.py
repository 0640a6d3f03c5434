"""nix/alert.sh alone: what it writes, what it takes back, and that nothing from outside gets into its JSON."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.nixeval import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = ROOT / "docs" / "systemd" / "alert"


def alert(action: str, state: Path, unit: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [str(SCRIPT), action, str(state), unit]
    given = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, env=given)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    return path


def raised(state: Path) -> dict[str, str]:
    found = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (state / ".alerts").iterdir()}
    return {name: str(entry["message"]) for name, entry in found.items()}


def test_it_is_raised_replaced_and_taken_back(state: Path) -> None:
    for status in ("1", "KILL"):
        done = alert("raise", state, "warmci-sweep", MONITOR_SERVICE_RESULT="x", MONITOR_EXIT_STATUS=status)
        assert done.returncode == 0
        assert raised(state) == {"warmci-sweep.json": f"warmci-sweep.service failed: x, unknown {status}"}
    assert alert("raise", state, "warmci-keycloak").returncode == 0
    assert alert("clear", state, "warmci-sweep").returncode == 0
    assert list(raised(state)) == ["warmci-keycloak.json"]
    assert alert("clear", state, "warmci-sweep").returncode == 0


def test_after_a_failure_nothing_is_taken_back(state: Path) -> None:
    alert("raise", state, "warmci-canonicals")
    assert alert("clear", state, "warmci-canonicals", SERVICE_RESULT="exit-code").returncode == 0
    assert list(raised(state)) == ["warmci-canonicals.json"]
    assert alert("clear", state, "warmci-canonicals", SERVICE_RESULT="success").returncode == 0
    assert raised(state) == {}


def test_odd_values_stay_inside_the_state_directory_and_the_json(state: Path, tmp_path: Path) -> None:
    done = alert("raise", state, '../../x"y', MONITOR_SERVICE_RESULT='a", "b": "$(id)', MONITOR_EXIT_CODE="\nx")
    assert done.returncode == 0
    assert raised(state) == {"xy.json": "xy.service failed: abid, x unknown"}
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_webhook_that_is_no_url_is_not_shown(state: Path, tmp_path: Path) -> None:
    (tmp_path / "warmci_alert_webhook").write_text("--S3CRET", encoding="utf-8")
    done = alert("raise", state, "warmci-sweep", CREDENTIALS_DIRECTORY=str(tmp_path))
    assert "the alert webhook is no http URL" in done.stderr
    assert "S3CRET" not in done.stderr + done.stdout


def test_a_full_disk_is_not_silent(state: Path) -> None:
    (state / ".alerts").write_text("in the way", encoding="utf-8")
    done = alert("raise", state, "warmci-sweep")
    assert done.returncode != 0
    assert "<3>alert: warmci-sweep.service failed" in done.stderr


def test_another_action_is_refused(state: Path) -> None:
    assert alert("shout", state, "x").returncode == 2
