"""A quick run on a snapshot that is too large to be walked through: its promise, and what it still sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.own_recipes import SERVE, make_recipe, shell, web, with_volume
from warmci.base.models import Ledger, Verdict

if TYPE_CHECKING:
    from support.bench import Bench
    from support.own_recipes import Document

pytestmark = pytest.mark.integration
MANY = "test -e /data/f0 || { i=0; while [ $$i -lt 12000 ]; do : > /data/f$$i; i=$$((i+1)); done; };"
ENDS = f"trap 'exit 0' TERM; {SERVE.replace('exec ', '')} & wait"


def document(version: str, word: str) -> Document:
    app = web(version, command=shell(f"{MANY} {ENDS}"), volumes=["data:/data"], environment={"WORD": word})
    return with_volume(app, "data")


def test_quick_on_many_files(bench: Bench) -> None:
    name = make_recipe(bench, "many", document("0.2.0+1.0", "two"), [("0.1.0+1.0", document("0.1.0+1.0", "one"))])
    seeded = bench.run(name)
    canonical = bench.store.load(name)
    assert canonical is not None, seeded.stderr
    before = bench.fingerprint(name)
    answer = bench.run(name, "--ref", "pr", "--pr", "x1", "--quick")
    assert answer.code == 0, answer.stderr
    back = next(stage for stage in answer.result.stages if stage.name == "roll back")
    assert "as far as its first 5000 objects tell" in back.detail
    assert bench.fingerprint(name) == before
    assert bench.ledger() == Ledger()

    root = bench.settings.state_dir / name / "snapshots" / canonical.snapshot / "volumes" / "data"
    tests = bench.settings.recipes_dir / name
    tests.mkdir(exist_ok=True)
    (tests / "test_stranger.py").write_text(
        f"from pathlib import Path\n\ndef test_writes_past_the_overlay():\n    Path({str(root)!r}, 'new').touch()\n",
        encoding="utf-8",
    )
    answer = bench.run(name, "--ref", "pr", "--pr", "x1", "--quick")
    assert (answer.code, answer.result.verdict) == (5, Verdict.ROLLBACK_FAILED), answer.stderr
    found = bench.store.load(name)
    assert found is not None
    assert found.state == "dirty"
    assert "left the snapshot changed" in found.reason
