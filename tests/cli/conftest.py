"""What a command of one program run in this process leaves behind, put back; a state directory with a canonical."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from support.trees import canonical_of, save
from warmci.base import interrupts
from warmci.base.state import open_state
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_process_state() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in interrupts._SIGNALS}
    mask = os.umask(0o077)
    yield
    os.umask(mask)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARMCI_STATE_DIR", str(tmp_path / "state"))
    return open_state(tmp_path / "state", floor_bytes=0).dir


@pytest.fixture
def canonical(state: Path) -> str:
    manifest = save(state)
    assert CanonicalStore(state).commit(canonical_of(manifest)) == []
    return manifest.id
