"""The end of a quick run whose snapshot is too large to be walked through: what is lost is the canonical's damage."""

from __future__ import annotations

import shutil
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from support.trees import canonical_of, save
from warmci.base import interrupts
from warmci.base.errors import RollbackError
from warmci.base.state import open_state
from warmci.report.console import Console
from warmci.report.stages import Recorder
from warmci.run import quick
from warmci.store.canonical import CanonicalStore
from warmci.store.snapshot import snapshot_dir

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("lost", ["manifest.json", "volumes"])
def test_lost_data_makes_the_canonical_dirty(tmp_path: Path, lost: str) -> None:
    state = open_state(tmp_path / "state", floor_bytes=0).dir
    store, saved = CanonicalStore(state), canonical_of(save(state))
    store.commit(saved)
    time.sleep(0.05)  # the file system's stamps are coarse
    console = Console(quiet=True)
    context: Any = SimpleNamespace(
        shielded=interrupts.shielded, work_dir=tmp_path / "work", recorder=Recorder(console), store=store,
        settings=SimpleNamespace(state_dir=state),
        attached_ns=time.time_ns(), run_id="a-run",
    )  # fmt: skip
    app = cast("Any", SimpleNamespace(undeploy=lambda **_: []))
    quick._roll_back(context, app, saved)

    home = snapshot_dir(state, saved.recipe, saved.snapshot)
    (home / "manifest.json").unlink() if lost == "manifest.json" else shutil.rmtree(home / lost)
    with pytest.raises(RollbackError, match="No such file or directory"):
        quick._roll_back(context, app, saved)
    found = store.load(saved.recipe)
    assert found is not None
    assert (found.state, "the roll-back of a-run" in found.reason) == ("dirty", True)
