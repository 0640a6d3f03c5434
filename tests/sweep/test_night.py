"""The sweep throws away what nothing needs, and is none the redder when it cannot."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

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


class Others:
    """A shard to which a dead node's recipe falls after an hour and whose other nodes never end."""

    node = SimpleNamespace(id="n", name="n")

    def __init__(self, now: list[float]) -> None:
        self.now, self.left = now, ["late"]

    def fallen(self, _sweep: str) -> list[str]:
        return [self.left.pop()] if self.left and self.now[0] > 4600 else []

    def others_at_work(self) -> list[str]:
        return ["worker-2"]


def test_what_falls_to_a_node_has_no_budget_of_its_own(
    night: sweep._Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Waiting for the others and what they leave end when the sweep's time is over; a log hears once a minute."""
    now, ends = [1000.0], list[float]()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(sweep, "planned", lambda *_: ())
    monkeypatch.setattr(sweep, "run_all", lambda *arguments: ends.append(arguments[-1]))
    settings = night._settings.model_copy(update={"sweep_budget_s": 7200.0})
    shared = sweep._Sweep(settings, Console(), "0123456789ab", night._sweep, cast("Any", Others(now)))
    now[0] += 600  # the disk, recovery, Keycloak
    shared._run_all()
    shared._take_over()
    assert ends == [8200.0, 8200.0]
    assert 8200 <= now[0] < 8210
    said = [line for line in capsys.readouterr().err.splitlines() if "still at work" in line]
    assert 100 <= len(said) <= 111
