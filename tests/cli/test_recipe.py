"""`warmci recipe`: from nothing to a recipe that is looked at and listed, without an engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from warmci.cli import app

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARMCI_RECIPES_DIR", str(tmp_path / "operator"))
    monkeypatch.setenv("WARMCI_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_begin_look_and_list(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["recipe", "list"]) == 0
    assert "warmci recipe init NAME" in capsys.readouterr().err
    assert app.main(["recipe", "init", "guestbook"]) == 0
    assert "run_recipe_ci.py ./guestbook" in capsys.readouterr().err
    assert app.main(["recipe", "check", "./guestbook"]) == 0
    assert "nothing makes guestbook untestable" in capsys.readouterr().err
    assert app.main(["recipe", "list", "--json"]) == 0
    (known,) = json.loads(capsys.readouterr().out)["recipes"]
    assert (known["recipe"], known["configured"], known["tests"], known["canonical"]) == ("guestbook", True, 1, "")
    assert app.main(["recipe", "init", "guestbook"]) == 2
    assert not (here / "state").exists()


def test_a_look_at_a_directory_sees_what_is_not_committed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["recipe", "init", "guestbook"]) == 0
    compose = here / "guestbook" / "compose.yml"
    compose.write_text(compose.read_text().replace("init: true", "privileged: true"))
    capsys.readouterr()
    assert app.main(["recipe", "check", "./guestbook", "--json"]) == 1
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["version"] == "with what is not committed"
    assert [finding["hint"] for finding in found["findings"] if finding["level"] == "error"] == [
        'if the operator trusts this: allow = ["privileged:app"] in recipe.toml'
    ]
    assert "guestbook cannot be green: 1 of" in said.err


def test_the_list_has_every_recipe_that_is_known(
    here: Path, canonical: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WARMCI_RECIPES", '["enrolled"]')
    for name in ("configured", "Not a recipe"):
        (here / "operator" / name).mkdir(parents=True)
    assert app.main(["recipe", "list", "--json"]) == 0
    found = {known["recipe"]: known for known in json.loads(capsys.readouterr().out)["recipes"]}
    assert list(found) == ["configured", "demo", "enrolled"]
    assert found["enrolled"]["enrolled"]
    assert found["demo"]["canonical"].endswith(", good")
    assert app.main(["recipe", "list"]) == 0
