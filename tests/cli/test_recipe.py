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


def test_a_look_is_under_the_ingress_and_the_scheme_that_runs_would_take(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["recipe", "init", "guestbook"]) == 0
    compose = here / "guestbook" / "compose.yml"
    compose.write_text(compose.read_text().replace("content:/srv/content", "{type: volume, target: '/${ORIGIN}'}"))
    (here / "operator" / "guestbook" / "recipe.toml").write_text('env = {ORIGIN = "{url}"}\n')

    def said(**env: str) -> list[str]:
        capsys.readouterr()
        for name, value in env.items():
            monkeypatch.setenv(f"WARMCI_{name}", value)
        assert app.main(["recipe", "check", "./guestbook", "--json"]) == 0
        return [finding["says"] for finding in json.loads(capsys.readouterr().out)["findings"]]

    direct = "ingress direct: app:8080 behind port 20000"
    usual = said()
    assert any("/https://warm-guestbook.warmci.localhost:20000 is an anonymous volume" in text for text in usual)
    assert direct in usual
    plain = said(BASE_DOMAIN="ci")
    assert any("/http://warm-guestbook.ci:20000 is an anonymous volume" in text for text in plain), "no certificate"
    traefik = said(INGRESS="traefik", BASE_DOMAIN="ci.example.org")
    assert any("/https://warm-guestbook.ci.example.org is an anonymous volume" in text for text in traefik)
    assert direct not in traefik


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
