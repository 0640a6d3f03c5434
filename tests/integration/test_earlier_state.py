"""An upgrade of WarmCI between two runs: the earlier one was killed, this one cleans up and goes on with its data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.earlier_state import RECIPE, archives, unpack
from warmci.base.models import Mode, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("archive", archives(), ids=lambda path: path.name.partition(".")[0])
def test_a_quick_run_on_earlier_data(bench: Bench, archive: Path, tmp_path: Path) -> None:
    settings = unpack(archive, tmp_path, "docker_host", "netns")
    with settings.open("a", encoding="utf-8") as file:
        file.write(f"docker_host = {json.dumps(bench.settings.docker_host)}\nwatch_s = 2\n")
        file.write(f"netns = {json.dumps(str(bench.settings.netns))}\n")
    (tmp_path / "operator" / RECIPE / "recipe.toml").write_text('scheme = "http"\n', encoding="utf-8")
    killed = [path for path in (tmp_path / "state" / ".runs").iterdir() if not (path / "result.json").exists()]
    assert len(killed) == 1
    answer = bench.run(RECIPE, "--ref", "bad", "--quick", WARMCI_SETTINGS=str(settings))
    assert (answer.code, answer.result.ran, answer.result.verdict) == (1, Mode.QUICK, Verdict.FAIL), answer.stderr
    assert answer.result.summary.startswith("volume content is still at /srv/content")
    assert answer.result.attach == "overlay"
    assert not (killed[0] / "work").exists()
    assert answer.result.leftovers == ()
