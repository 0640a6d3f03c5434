"""A recipe named by the directory that it lies in: tested, promoted, and tested as it is with what is not committed."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.own_recipes import make_recipe, shell, web

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.integration


def committed(tree: Path) -> None:
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "add", "-A"], check=True, timeout=10)
    subprocess.run([*git, "commit", "-q", "-m", "more"], check=True, timeout=10)


def test_a_directory_is_a_recipe_and_only_its_own_canonical_moves(bench: Bench) -> None:
    name = make_recipe(bench, "pathy", web("0.2.0+1.0"), [("0.1.0+1.0", web())])
    tree = bench.root / "demo" / "recipes" / name
    (tree / "NOTES.md").write_text("not committed\n", encoding="utf-8")

    seeded = bench.run(str(tree))
    assert seeded.code == 0, seeded.stderr
    assert "not committed, so not tested: NOTES.md; --worktree" in seeded.stderr
    result = seeded.result
    assert (result.recipe, result.source, result.ref, result.trusted) == (name, str(tree), "main", True)
    assert result.promotion is not None
    assert (result.promotion.action, result.promotion.outcome) == ("seed", "ok")

    copy = bench.root / "elsewhere" / name
    shutil.copytree(tree, copy)
    committed(copy)
    other = bench.run(str(copy))
    assert other.code == 0, other.stderr
    assert other.result.promotion is not None
    assert other.result.promotion.outcome == "skipped"
    assert other.result.promotion.reason == f"the canonical is that of {tree}, not of {copy}"

    (copy / "compose.yml").write_text(json.dumps(web(command=shell("exit 3"))), encoding="utf-8")
    broken = bench.run(str(copy), "--worktree")
    assert broken.code == 1, broken.stderr
    assert broken.result.ref == "worktree"
    assert broken.result.deviations[0] == "the directory as it is, not committed: compose.yml; never promoted"
    canonical = bench.store.load(name)
    assert canonical is not None
    assert (canonical.commit, canonical.source) == (result.head_commit, str(tree))
