"""Which WarmCI this is."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base import version
from warmci.base.models import Canonical

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]


def test_a_checkout_names_its_commit() -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert version.describe() == f"warmci {metadata.version('warmci')} ({head.stdout[:12]}), state format 1"


def test_a_wheel_names_the_commit_that_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "_PACKAGE", tmp_path)
    assert "(" not in version.describe()
    (tmp_path / "commit").write_text(f"{'c0ffee' * 7}\n")
    assert "(c0ffeec0ffee)" in version.describe()


def test_an_installation_from_git_names_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        version = "1.0"

        def read_text(self, name: str) -> str:
            return (
                json.dumps({"vcs_info": {"vcs": "git", "commit_id": "c0ffee" * 7}}) if name == "direct_url.json" else ""
            )

    monkeypatch.setattr(version, "distribution", lambda _: Installed())
    assert "(c0ffeec0ffee)" in version.describe()


def test_the_state_format_is_that_of_the_canonical() -> None:
    assert Canonical.model_fields["schema_version"].default == version.STATE_FORMAT
