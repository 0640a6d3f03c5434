"""The operator's commands at the entry: plans before deeds, questions, JSON on standard output, exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer

from support.trees import canonical_of, save
from warmci.base.locks import Holder, app_lock
from warmci.cli import app
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from pathlib import Path

Said = pytest.CaptureFixture[str]


def test_snapshots_are_listed_and_shown(state: Path, canonical: str, capsys: Said) -> None:
    orphan = save(state, content="orphan").id
    assert app.main(["snapshot", "list", "--json"]) == 0
    found = {item["id"]: item for item in json.loads(capsys.readouterr().out)["snapshots"]}
    assert {name: item["canonical"] for name, item in found.items()} == {canonical: True, orphan: False}
    assert (found[canonical]["files"], found[canonical]["bytes"]) == (6, 32)
    assert app.main(["snapshot", "show", "demo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, **found[canonical]}
    assert app.main(["snapshot", "show", "demo", orphan]) == 0
    assert "canonical: no" in capsys.readouterr().err
    assert app.main(["snapshot", "show", "demo", "20200101T000000Z-000000"]) == 2
    assert app.main(["snapshot", "show", "demo", "../../x"]) == 2


def test_an_unreadable_canonical_is_told_by_every_list(state: Path, canonical: str, capsys: Said) -> None:
    (state / "demo" / "canonical.json").write_text("{")
    CanonicalStore(state).commit(canonical_of(save(state, "other")))
    assert app.main(["canonical", "list", "--json"]) == 3
    said = capsys.readouterr()
    assert {item["recipe"]: item["state"] for item in json.loads(said.out)["canonicals"]} == {
        "demo": "unreadable",
        "other": "good",
    }
    assert "warmci canonical fsck demo" in said.err
    assert app.main(["snapshot", "list", "--json"]) == 0
    found = {item["id"]: item["canonical"] for item in json.loads(capsys.readouterr().out)["snapshots"]}
    assert found[canonical] is None


@pytest.mark.parametrize("group", [["canonical", "remove", "demo"], ["snapshot", "remove", "demo"]])
def test_nothing_is_thrown_away_unasked(state: Path, canonical: str, group: list[str], capsys: Said) -> None:
    orphan = save(state, content="orphan").id
    arguments = [*group, *([orphan] if group[0] == "snapshot" else [])]
    assert app.main([*arguments, "--dry-run", "--json"]) == 0
    planned = capsys.readouterr()
    assert "remove" in planned.err
    assert app.main(arguments) == 2
    said = capsys.readouterr()
    assert "no terminal to ask at" in said.err
    assert "--yes" in said.err
    assert {path.name for path in (state / "demo" / "snapshots").iterdir()} == {canonical, orphan}
    assert (state / "demo" / "canonical.json").exists()
    assert app.main([*arguments, "--yes", "--json"]) == 0
    done = capsys.readouterr()
    assert done.out == planned.out
    gone = orphan if group[0] == "snapshot" else canonical
    assert [item["id"] for item in json.loads(done.out)["snapshots"]] == [gone]
    assert gone not in CanonicalStore(state).snapshots("demo")


def test_seed_says_in_json_that_there_was_nothing_to_do(state: Path, canonical: str, capsys: Said) -> None:
    assert app.main(["canonical", "seed", "demo", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"schema_version": 1, "recipe": "demo", "run": None}
    assert "has a good canonical" in said.err


def test_the_end_of_the_input_is_a_no(state: Path, canonical: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: object, **__: object) -> bool:
        raise typer.Abort

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", end)
    assert app.main(["canonical", "remove", "demo"]) == 130
    assert CanonicalStore(state).recipes() == ["demo"]


@pytest.mark.parametrize(("answer", "code"), [("n\n", 130), ("y\n", 0)])
def test_the_answer_counts(
    state: Path, canonical: str, answer: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer == "y\n")
    assert app.main(["canonical", "remove", "demo"]) == code
    assert ("nothing was changed" in capsys.readouterr().err) == bool(code)
    assert CanonicalStore(state).recipes() == (["demo"] if code else [])


def test_fsck_tells_and_repairs(state: Path, canonical: str, capsys: Said) -> None:
    assert app.main(["canonical", "fsck"]) == 0
    assert "in order" in capsys.readouterr().err
    for command in (["canonical", "fsck"], ["snapshot", "list"]):
        assert app.main([*command, "dem0"]) == 2, "a mistyped name is not in order"
    capsys.readouterr()
    save(state, content="orphan")
    assert app.main(["canonical", "fsck", "--dry-run", "--json"]) == 3
    said = capsys.readouterr()
    assert [(item["kind"], item["repaired"]) for item in json.loads(said.out)["problems"]] == [("garbage", False)]
    assert app.main(["canonical", "fsck", "--json"]) == 0
    assert [(item["kind"], item["repaired"]) for item in json.loads(capsys.readouterr().out)["problems"]] == [
        ("garbage", True)
    ]
    (snapshot.snapshot_dir(state, "demo", canonical) / "volumes" / "db" / "content").unlink()
    assert app.main(["canonical", "fsck", "demo"]) == 3
    assert "warmci canonical seed demo" in capsys.readouterr().err
    assert app.main(["snapshot", "verify", "demo", "--json"]) == 3
    assert "db: content is missing" in json.loads(capsys.readouterr().out)["wrong"]


def test_a_plan_of_the_registry_needs_no_engine(
    state: Path, canonical: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setenv("WARMCI_RECIPES", '["wanted"]')
    assert app.main(["canonical", "reconcile", "--dry-run", "--json"]) == 0
    said = capsys.readouterr()
    assert [(item["do"], item["recipe"]) for item in json.loads(said.out)["actions"]] == [
        ("seed", "wanted"),
        ("remove", "demo"),
    ]
    assert CanonicalStore(state).recipes() == ["demo"]
    assert app.main(["canonical", "reconcile"]) == 2
    monkeypatch.setenv("WARMCI_RECIPES", '["demo"]')
    capsys.readouterr()
    assert app.main(["canonical", "reconcile"]) == 0
    assert "as declared" in capsys.readouterr().err


def test_a_copy_to_look_at_needs_no_engine(state: Path, canonical: str, tmp_path: Path, capsys: Said) -> None:
    target = tmp_path / "look"
    assert app.main(["snapshot", "restore", "demo", "--to", str(target)]) == 0
    assert (target / "db" / "content").read_text() == "data"
    for taken in (target, state / "demo" / "look"):
        assert app.main(["snapshot", "restore", "demo", "--to", str(taken)]) == 2
    assert app.main(["snapshot", "restore", "demo", "--to", str(tmp_path / "x"), "--dry-run"]) == 2
    assert "canary" not in capsys.readouterr().err


def test_a_verify_that_waits_to_mark_says_for_whom(
    state: Path, canonical: str, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMCI_LOCK_WAIT_S", "0.3")
    home = snapshot.snapshot_dir(state, "demo", canonical)
    with app_lock(state, "demo", Holder.here("run-a", "demo", "run quick"), wait_s=0):
        assert app.main(["snapshot", "verify", "demo"]) == 0, "what is as saved is nothing to wait for"
        assert "waiting" not in capsys.readouterr().err
        next(path for path in (home / "volumes").rglob("*") if path.is_file()).unlink()
        assert app.main(["snapshot", "verify", "demo"]) == 75
    assert "waiting for run run-a of demo (run quick" in capsys.readouterr().err
