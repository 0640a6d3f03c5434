"""`--plan`: what a run would do, without an engine, and every obstacle with the exit code that a run would have."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.begun import Begun
from support.trees import canonical_of, save
from warmci import run_recipe_ci
from warmci.base.locks import Holder, app_lock
from warmci.base.state import open_state
from warmci.run.plan import Plan
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = "0.1.0+1.35.0", "0.2.0+1.36.0"


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begun:
    made = Begun(tmp_path)
    monkeypatch.setenv("WARMCI_STATE_DIR", str(made.settings.state_dir))
    monkeypatch.setenv("WARMCI_RECIPES_DIR", str(made.settings.recipes_dir))
    monkeypatch.setenv("WARMCI_DOCKER_HOST", "unix:///nowhere")
    return made


def planned(demo: Begun, capsys: pytest.CaptureFixture[str], code: int, *more: str) -> Plan:
    assert run_recipe_ci.main([str(demo.path), "--plan", "--json", *more]) == code, capsys.readouterr().err
    made = Plan.model_validate_json(capsys.readouterr().out)
    assert made.exit_code == code
    return made


def with_canonical(demo: Begun, commit: str) -> None:
    """One whose data is of that commit of this repository."""
    state = open_state(demo.settings.state_dir, floor_bytes=0).dir
    known = canonical_of(save(state)).model_copy(update={"commit": commit, "scheme": "https", "source": str(demo.path)})
    assert CanonicalStore(state).commit(known) == []


def test_a_first_release(demo: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    made = planned(demo, capsys, 0)
    assert (made.base_version, made.head_version, made.promotion, made.changes) == ("", FIRST, "seed", ())
    assert made.tests == {"install": ("test_demo.py::test_a_note_is_written", "test_demo.py::test_the_note_is_there")}
    assert made.images == ("busybox:1.35.0",)
    assert not demo.settings.state_dir.exists()


def test_an_upgrade_with_its_changes_and_phases(demo: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    demo.change("1.35.0", "1.36.0")
    demo.git("tag", "--annotate", "--message=x", SECOND)
    made = planned(demo, capsys, 0)
    assert (made.base_version, made.head_version) == (FIRST, SECOND)
    assert [(change.kind, change.what) for change in made.changes] == [("image", "app")]
    assert {phase: len(tests) for phase, tests in made.tests.items()} == {"install": 2, "base": 1, "upgrade": 1}
    assert planned(demo, capsys, 0, "--pr", "1").promotion == "none: not trusted code"
    assert planned(demo, capsys, 0, "--ref", FIRST).base_version == ""
    assert run_recipe_ci.main([str(demo.path), "--plan"]) == 0
    assert "nothing stands in its way" in capsys.readouterr().err


def test_quick_starts_from_the_canonical(demo: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    made = planned(demo, capsys, 0, "--quick")
    assert (made.runs, made.because) == ("cold", "there is no canonical of demo")
    first = demo.git("rev-parse", "HEAD")
    with_canonical(demo, first)
    assert planned(demo, capsys, 6, "--quick").obstacles[0].says.startswith("the head changes no service")
    assert planned(demo, capsys, 0).promotion == "none: the canonical is this commit"
    demo.change("busybox:1.35.0", "busybox:1.36.0")
    made = planned(demo, capsys, 0, "--quick")
    assert (made.runs, made.base_commit, list(made.tests)) == ("quick", first, ["quick"])
    assert planned(demo, capsys, 0).promotion.startswith("advance from ")


def test_a_canonical_whose_snapshot_is_another_one(demo: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    with_canonical(demo, demo.git("rev-parse", "HEAD"))
    demo.change("busybox:1.35.0", "busybox:1.36.0")
    (manifest,) = demo.settings.state_dir.rglob("manifest.json")
    manifest.write_text(manifest.read_text().replace("content", "c0ntent"))
    made = planned(demo, capsys, 0, "--quick")
    assert (made.runs, made.because.partition(":")[0]) == ("cold", "the canonical is dirty")
    assert made.promotion == "seed: the canonical is dirty"


def test_the_scheme_is_the_one_that_a_run_would_take(
    demo: Begun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_canonical(demo, demo.git("rev-parse", "HEAD"))
    demo.change("busybox:1.35.0", "busybox:1.36.0")
    assert planned(demo, capsys, 0, "--quick").runs == "quick"
    monkeypatch.setenv("WARMCI_BASE_DOMAIN", "ci")  # one label: no certificate can be made
    assert "runs now speak http" in planned(demo, capsys, 0, "--quick").because


def test_all_that_is_refused_is_told_with_its_word(demo: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    demo.change("    init: true", "    privileged: true\n    cap_add: [NET_ADMIN]")
    demo.change("content:/srv/content", "/etc:/srv/content")
    made = planned(demo, capsys, 1)
    assert {obstacle.allow for obstacle in made.obstacles} == {"privileged:app", "cap_add:app", "bind:/etc"}
    assert made.verdict == "refused"
    assert made.changes != (), "what would be changed is told all the same"
    assert run_recipe_ci.main([str(demo.path), "--plan"]) == 1
    assert 'allow = ["bind:/etc"]' in capsys.readouterr().err
    demo.change("/etc:/srv/content", "{type: bind, source: '/srv/\"a\"', target: /srv/content}")
    assert run_recipe_ci.main([str(demo.path), "--plan"]) == 1
    assert r'allow = ["bind:/srv/\"a\""]' in capsys.readouterr().err


def test_obstacles_of_other_kinds(demo: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    demo.change("at {{", "on {{", file="index.html.tmpl")
    (obstacle,) = planned(demo, capsys, 1).obstacles
    assert (obstacle.of, obstacle.verdict) == ("upgrade", "fail")
    assert "other content under the name" in obstacle.says
    (demo.operator / "test_broken.py").write_text("import nothing_such\n")
    said = planned(demo, capsys, 1).obstacles[-1]
    assert said.of == "tests"
    assert "nothing_such" in said.says


def test_a_secret_that_nobody_gives_is_a_usage_error(demo: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "secrets:\n  token:\n    external: true\n    name: ${STACK_NAME}_token_${SECRET_TOKEN_VERSION}\n"
    demo.change("configs:\n  index:", f"{secret}\nconfigs:\n  index:")
    demo.change("    init: true\n", "    init: true\n    secrets: [token]\n")
    demo.change("TYPE=demo\n", "TYPE=demo\nSECRET_TOKEN_VERSION=v1 # generate=false\n", file=".env.sample")
    assert planned(demo, capsys, 2).verdict == "usage"


def test_a_compose_file_that_cannot_be_read(demo: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    demo.change("services:", "services: [")
    made = planned(demo, capsys, 1)
    assert (made.verdict, made.changes) == ("fail", ())
    assert "compose.yml" in made.obstacles[0].says


def test_what_is_not_committed_and_who_is_at_it(demo: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    (demo.path / "compose.yml").write_text((demo.path / "compose.yml").read_text().replace("1.35.0", "1.36.0"))
    open_state(demo.settings.state_dir, floor_bytes=0)
    with app_lock(demo.settings.state_dir, "demo", Holder.here("x", "demo", "run cold"), wait_s=1):
        made = planned(demo, capsys, 0, "--worktree")
    assert made.promotion == "none: not committed"
    assert made.deviations[0].startswith("the directory as it is, not committed: compose.yml")
    assert ("image", "busybox:1.36.0") in {(change.kind, change.after) for change in made.changes}
    assert [lock.lock for lock in made.locks] == ["app-demo"]


def test_what_is_no_recipe_is_told_as_a_run_tells_it(demo: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_recipe_ci.main([f"{demo.path}x", "--plan", "--json"]) == 2
    assert "there is no directory" in json.loads(capsys.readouterr().out)["error"]
    assert run_recipe_ci.main([str(demo.path), "--plan", "--ref", "nope"]) == 2
    subprocess.run(["git", "init", "--quiet", str(demo.path.parent / "empty")], check=True, timeout=10)
    assert run_recipe_ci.main([str(demo.path.parent / "empty"), "--plan"]) == 6
