"""WarmCI in a mount namespace that the engine does not share, as in a CI container: quick copies, and says so."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from support.bench import BIN, Answer
from warmci.base.models import Ledger, Mode

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.integration


def test_quick_in_another_mount_namespace(bench: Bench) -> None:
    assert bench.run("custom-html", "--ref", "1.0.0+1.35.0", "--reseed").code == 0
    before = bench.fingerprint("custom-html")
    inside = ["unshare", "--mount", "--propagation", "private"]
    argv = [*inside, str(BIN / "run_recipe_ci.py"), "custom-html", "--pr", "5", "--ref", "main", "--quick", "--json"]
    done = subprocess.run(argv, env=bench.env(), capture_output=True, text=True, timeout=300, check=False)
    answer = Answer(done.returncode, done.stdout, done.stderr)
    assert answer.code == 0, answer.stderr
    assert answer.result.ran is Mode.QUICK
    assert answer.result.attach in {"copy", "reflink"}
    assert "the engine does not see what is mounted here" in answer.stderr
    assert answer.result.leftovers == ()
    assert bench.fingerprint("custom-html") == before
    assert bench.ledger() == Ledger()
