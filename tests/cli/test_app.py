"""The entry files: quick help, codes for mistakes, data on standard output and no secrets in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from warmci import run_recipe_ci
from warmci.base.models import EXIT_CODES
from warmci.cli import app, later
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore

SLOW = {"rich", "docker", "requests", "httpx", "pytest", "pydantic", "asyncio", "warmci.swarm.engine"}
SLOW |= {"importlib.metadata", "ctypes", "json", "random", "tempfile", "warmci.base.process"}
SLOW |= {f"warmci.cli.{name}" for name in (*later.TOLD, "kept")} - {"warmci.cli.completion"}
"""What one command or another needs, and no list of them."""


@pytest.mark.parametrize("module", ["warmci.cli.app", "warmci.run_recipe_ci"])
def test_help_waits_for_no_sdk(module: str) -> None:
    script = (
        f"import sys; import {module} as program\ncode = program.main(['--help'])\n"
        "print('\\nLOADED', *sorted(sys.modules)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    help_text, _, loaded = done.stdout.partition("LOADED")
    assert "Usage:" in help_text
    assert "warmci.cli.exits" in loaded.split()
    assert set(loaded.split()) & SLOW == set()


def test_what_help_says_of_commands_is_what_they_say() -> None:
    group = typer.main.get_command(app.app)
    assert isinstance(group, typer.core.TyperGroup)
    assert {name: command.get_short_help_str(1000) for name, command in group.commands.items()} == later.TOLD
    modules = {path.stem for path in Path(later.__file__).parent.glob("*.py")}
    no_commands = {"__init__", "app", "common", "exits", "later", "own_process", "planned", "runs"}
    in_app = {"recover", "doctor"}
    assert modules - no_commands == {*later.TOLD} - in_app - {"run"} | {"kept"}


def test_help_tells_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_recipe_ci.main(["--help"]) == 0
    codes = capsys.readouterr().out.partition("Exit codes:")[2]
    assert {int(word) for word in codes.split() if word.isdecimal()} == set(EXIT_CODES.values())


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["canonical", "nonsense"], ["canonical", "show"]])
def test_mistyped_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(arguments) == 2
    said = capsys.readouterr()
    assert "Usage:" in said.err
    assert said.out == ""


@pytest.mark.parametrize("arguments", [[], ["demo", "extra"], ["demo", "--quikc"]])
def test_mistyped_runs(arguments: list[str]) -> None:
    assert run_recipe_ci.main(arguments) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [("../x", "there is no directory"), ("Demo", "not a recipe name"), ("", "not a recipe name"), ("/", "no recipe")],
)
def test_a_run_of_what_is_no_recipe(name: str, said: str, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_recipe_ci.main([name]) == 2
    assert said in capsys.readouterr().err
    (result,) = (state / ".runs").glob("*/result.json")
    assert json.loads(result.read_text())["recipe"] == name


@pytest.mark.parametrize("more", [["--ref", "x"], ["--pr", "1"], ["--reseed"]])
def test_a_work_tree_is_what_is_in_a_directory(
    more: list[str], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_recipe_ci.main(["demo", "--worktree"]) == 2
    assert "wants the recipe's directory" in capsys.readouterr().err
    assert run_recipe_ci.main(["demo", "--worktree", *more]) == 2
    assert "no --ref, --pr or --reseed with it" in capsys.readouterr().err


def test_a_directory_stands_for_its_recipe(canonical: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").mkdir()
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "demo")], check=True, timeout=10)
    monkeypatch.chdir(tmp_path / "demo")
    assert app.main(["canonical", "show", "."]) == 0
    assert app.main(["canonical", "show", ".."]) == 2


def test_a_run_without_an_engine() -> None:
    argv = [sys.executable, "-c", "from warmci.run_recipe_ci import entry; entry()", "demo"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 3
    assert "no Docker engine answers" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_bad_settings_are_a_usage_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WARMCI_PORT_FIRST", "80")
    assert app.main(["canonical", "list"]) == 2
    assert "port_first" in capsys.readouterr().err


def test_no_canonical_is_an_empty_list_and_no_such_one(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["canonical", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "canonicals": []}
    assert app.main(["canonical", "show", "demo"]) == 2
    said = capsys.readouterr()
    assert "there is no canonical of demo" in said.err
    assert "warmci canonical seed demo" in said.err
    assert said.out == ""


def test_a_canonical_is_shown_without_its_secrets(canonical: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["canonical", "show", "demo", "--json"], ["canonical", "list", "--json"]):
        assert app.main(arguments) == 0
        said = capsys.readouterr()
        value = json.loads(said.out)
        found = value["canonicals"][0] if "canonicals" in value else value
        assert found["snapshot"] == canonical
        assert found["secrets"] == ["db_password"]
        assert "canary-5eCret" not in said.out + said.err
    for arguments in (["canonical", "list"], ["canonical", "show", "demo"]):
        assert app.main(arguments) == 0
        said = capsys.readouterr()
        assert "demo" in said.err
        assert "canary-5eCret" not in said.err
        assert said.out == ""


def test_a_canonical_is_shown_with_what_its_data_lived_through_and_what_comes_next(
    state: Path, canonical: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = CanonicalStore(state)
    found = store.load("demo")
    assert found is not None
    later = found.lineage[0].model_copy(update={"version": "1.1.0+1.3", "run": "later"})
    store.commit(found.model_copy(update={"lineage": (*found.lineage, later), "last_cold": "pass cccccccc by later"}))
    assert app.main(["canonical", "show", "demo"]) == 0
    said = capsys.readouterr().err
    assert "  lineage     1.0.0+1.2  2026-01-02 03:04:05 UTC, run r\n" in said
    assert "              └─ 1.1.0+1.3  2026-01-02 03:04:05 UTC, run later\n" in said
    assert "  last cold   pass cccccccc by later\n" in said
    assert f"{state}/demo/snapshots/{canonical}\n" in said  # whole, on a line of its own, to be copied
    assert "  born at     http://warm-demo.example:20000, ingress direct\n" in said
    assert "db: " in said
    assert "warmci canonical open demo  # " in said
    store.mark_dirty("demo", "it rots")
    assert app.main(["canonical", "show", "demo"]) == 0
    said = capsys.readouterr().err
    assert "dirty: it rots" in said
    assert "  next        run_recipe_ci.py demo  # makes a good one" in said


def test_verify_tells_good_from_rotten(state: Path, canonical: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["snapshot", "verify", "demo", "--read-data"]) == 0
    assert "as saved" in capsys.readouterr().err
    content = snapshot.snapshot_dir(state, "demo", canonical) / "volumes" / "db" / "content"
    before = content.stat().st_mtime_ns
    content.write_text("rot!")
    os.utime(content, ns=(before, before))
    assert app.main(["snapshot", "verify", "demo"]) == 0, "same size, same time: only reading tells"
    assert "--read-data" in capsys.readouterr().err
    assert app.main(["snapshot", "verify", "demo", "--read-data"]) == 3
    said = capsys.readouterr()
    assert "db" in said.out
    assert "content" in said.out
    assert "warmci canonical seed demo" in said.err
    found = CanonicalStore(state).load("demo")
    assert found
    assert (found.state, "verify found 1 difference" in found.reason) == ("dirty", True)
