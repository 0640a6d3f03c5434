"""Shell completion: of both programs, as bash really asks for it, and never an error on somebody's prompt."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.trees import canonical_of, save
from warmci.base.state import open_state
from warmci.cli import app
from warmci.cli.completion import recipe_names
from warmci.store.canonical import CanonicalStore

BIN = Path(sys.executable).parent


def bash(line: str, **more: str) -> list[str]:
    """What bash offers after this line: the function that `complete` names, called as bash calls it."""
    words = line.split(" ")
    script = (
        f"source <(warmci completion bash)\nwords=({' '.join(words)})\n"
        f'COMP_WORDS=("${{words[@]}}"); COMP_CWORD={len(words) - 1}\n'
        f'name=$(complete -p {words[0]} | sed "s/.*-F \\([^ ]*\\).*/\\1/")\n'
        f'"$name" {words[0]}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    env = {**os.environ, "PATH": f"{BIN}:/usr/bin:/bin", **more}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return [word for word in done.stdout.split("\n") if word]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("warmci tri", ["trigger"]),
        ("warmci prune --dry", ["--dry-run"]),
        ("run_recipe_ci.py demo --no", ["--no-wait"]),
    ],
)
def test_bash_completes_commands_and_options_of_both(line: str, offered: list[str]) -> None:
    assert bash(line) == offered


def test_bash_completes_recipes(tmp_path: Path) -> None:
    (tmp_path / "recipes" / "demo-two").mkdir(parents=True)
    (tmp_path / "recipes" / "demo-two" / "recipe.toml").touch()
    mask = os.umask(0o077)
    state = open_state(tmp_path / "state").dir
    CanonicalStore(state).commit(canonical_of(save(state)))
    os.umask(mask)
    known = {"WARMCI_STATE_DIR": str(state), "WARMCI_RECIPES_DIR": str(tmp_path / "recipes")}
    assert bash("run_recipe_ci.py de", **known) == ["demo", "demo-two"]


def test_nothing_is_made_and_nothing_said_where_there_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("STATE_DIR", "RECIPES_DIR"):
        monkeypatch.setenv(f"WARMCI_{name}", str(tmp_path / "none"))
    assert recipe_names("") == []
    assert not (tmp_path / "none").exists()
    monkeypatch.setenv("WARMCI_MAX_TESTS", "many")
    assert recipe_names("") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_both_programs(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert set(re.findall(r"(_\S+_COMPLETE)=complete", script)) == {"_WARMCI_COMPLETE", "_RUN_RECIPE_CI_COMPLETE"}
    assert "run_recipe_ci.py" in script


def test_other_shells_are_a_usage_error() -> None:
    assert app.main(["completion", "tcsh"]) == 2
