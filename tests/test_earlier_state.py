"""An upgrade of WarmCI: what an earlier one wrote, canonical, snapshot, runs and settings, is read by this one."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support.bench import BIN
from support.earlier_state import RECIPE, archives, unpack
from warmci.base.models import Ingress, RunResult
from warmci.recipe.repository import Repository
from warmci.run import quick
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from pathlib import Path

PAST = ["1.0.0+1.35.0", "1.1.0+1.35.0"]


class Earlier:
    def __init__(self, home: Path, settings: Path) -> None:
        self.home, self.settings = home, settings
        self.state = home / "state"

    def said(self, *words: str) -> str:
        env = {"PATH": os.environ["PATH"], "WARMCI_SETTINGS": str(self.settings), "LANG": "C.UTF-8"}
        env["WARMCI_DOCKER_HOST"] = "unix:///nonexistent/none.sock"
        done = subprocess.run(
            [BIN / "warmci", *words], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def data(self, *words: str) -> Any:
        return json.loads(self.said(*words, "--json"))


@pytest.fixture(scope="module", params=archives(), ids=lambda path: path.name.partition(".")[0])
def earlier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Earlier:
    home = tmp_path_factory.mktemp("earlier")
    return Earlier(home, unpack(request.param, home, "docker_host", "netns"))


def test_its_canonical_is_known_and_whole(earlier: Earlier) -> None:
    found = earlier.data("canonical", "show", RECIPE)
    assert (found["state"], [past["version"] for past in found["lineage"]]) == ("good", PAST)
    assert [one["recipe"] for one in earlier.data("canonical", "list")["canonicals"]] == [RECIPE]
    earlier.said("snapshot", "verify", RECIPE, "--read-data")
    assert earlier.data("canonical", "fsck", "--dry-run")["problems"] == []


def test_its_data_can_be_had(earlier: Earlier) -> None:
    earlier.said("snapshot", "restore", RECIPE, "--to", str(earlier.home / "out"), "--yes")
    (notes,) = (earlier.home / "out").glob("**/notes")
    assert notes.with_name("link").read_text(encoding="utf-8") == "kept\n"
    assert (notes.stat().st_uid, notes.stat().st_gid, notes.stat().st_mode & 0o777) == (1000, 100, 0o640)


def test_its_runs_are_told(earlier: Earlier) -> None:
    status = earlier.data("status")
    assert [(run["mode"], run["verdict"], run["pr"]) for run in status["runs"]] == [
        ("quick", "fail", "2"),
        ("cold", "pass", ""),
        ("cold", "pass", ""),
    ]
    red = earlier.data("run", "show", status["runs"][0]["run"])["result"]
    assert RunResult.model_validate(red).summary.startswith("volume content is still at /srv/content")
    assert f'warmci_runs_kept{{mode="quick",recipe="{RECIPE}",verdict="fail"}} 1' in earlier.said("metrics")


def test_the_overview_shows_them(earlier: Earlier) -> None:
    earlier.said("site", "build")
    page = (earlier.state / ".site" / "index.html").read_text(encoding="utf-8")
    assert RECIPE in page
    assert "1.1.0+1.35.0" in page


def test_quick_takes_it_where_the_urls_are_still_of_its_kind(earlier: Earlier) -> None:
    """An earlier one knew http alone under `direct`: at https quick runs cold and says why."""
    canonical = CanonicalStore(earlier.state).load(RECIPE)
    repository = Repository(RECIPE, earlier.home / "recipes" / RECIPE)
    assert quick.why_not(canonical, Ingress.DIRECT, "http", repository) == ""
    assert "born at a URL of http" in quick.why_not(canonical, Ingress.DIRECT, "https", repository)
