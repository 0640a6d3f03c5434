"""Which WarmCI this is."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from warmci import __version__
from warmci.base import version
from warmci.base.models import Canonical

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__


def test_a_checkout_names_its_commit() -> None:
    assert re.fullmatch(rf"warmci {re.escape(__version__)}( \([0-9a-f]{{12}}\))?, state format 1", version.describe())


def test_an_installation_from_git_names_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        def read_text(self, name: str) -> str:
            return (
                json.dumps({"vcs_info": {"vcs": "git", "commit_id": "c0ffee" * 7}}) if name == "direct_url.json" else ""
            )

    monkeypatch.setattr(version, "distribution", lambda _: Installed())
    assert "(c0ffeec0ffee)" in version.describe()


def test_the_state_format_is_that_of_the_canonical() -> None:
    assert Canonical.model_fields["schema_version"].default == version.STATE_FORMAT
