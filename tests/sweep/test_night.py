"""The sweep throws away what nothing needs, and is none the redder when it cannot."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from warmci.base.errors import InfraError
from warmci.base.names import new_id
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.live import ingress
from warmci.live.ingress_json import IngressRecord, save_ingress
from warmci.report.console import Console
from warmci.report.sweep_record import Sweep, load_sweeps, save_sweep
from warmci.sweep import night as sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class NoImages:
    def __init__(self, _host: str) -> None:
        pass

    def data_root(self) -> str:
        return "/nonexistent"


class Down:
    def __init__(self, host: str) -> None:
        raise InfraError(f"no Docker engine answers at {host}")


@pytest.fixture
def night(tmp_path: Path) -> Iterator[sweep._Sweep]:
    mask = os.umask(0o077)
    settings = Settings(state_dir=open_state(tmp_path / "state").dir, keep_runs=1)
    old = settings.state_dir / ".sweeps" / "20200101T000000Z-000000"
    old.mkdir(parents=True)
    record = Sweep(id=new_id(), started=datetime.now(UTC), max_tests=1, items=())
    save_sweep(settings.state_dir, record)
    yield sweep._Sweep(settings, Console(), "0123456789ab", record, None)
    os.umask(mask)


def test_what_was_pruned_is_recorded(night: sweep._Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "Engine", NoImages)
    night._prune()
    (record,) = load_sweeps(night._settings.state_dir)
    assert record.pruned == (".sweeps/20200101T000000Z-000000",)
    assert len(list((night._settings.state_dir / ".sweeps").iterdir())) == 1


def test_without_an_engine_only_images_stay(night: sweep._Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "Engine", Down)
    night._prune()
    assert load_sweeps(night._settings.state_dir)[0].pruned == (".sweeps/20200101T000000Z-000000",)


def test_a_live_traefik_that_cannot_be_reconciled_is_a_trouble(
    night: sweep._Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise InfraError("it does not serve")

    monkeypatch.setattr(ingress, "reconcile", failing)
    night._part("ingress", night._ingress)
    assert not night._sweep.troubles, "there is no live one"
    facts = {"domain": "i.localhost", "version": "1", "commit": "c", "fingerprint": "f", "password": SecretStr("p")}
    save_ingress(night._settings, IngressRecord.model_validate(facts))
    night._part("ingress", night._ingress)
    assert list(night._sweep.troubles) == ["ingress: it does not serve"]
