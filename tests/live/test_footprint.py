"""What the live Keycloak holds: told by doctor and metrics, warned of when it is large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from warmci.base import names
from warmci.base.settings import Settings
from warmci.live import footprint, keycloak_json
from warmci.live.keycloak_json import LiveRecord
from warmci.operate import metrics

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 3 * 2**20


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A live Keycloak with data; no engine answers."""
    found = Settings(state_dir=tmp_path / "state", docker_host=f"unix://{tmp_path}/none.sock")
    facts = {"url": "http://warm-keycloak.warmci.localhost:20000", "version": "26.7.3", "client_id": "warmci"}
    record = LiveRecord.model_validate({**facts, "client_secret": SecretStr("s"), "generation": names.new_id()})
    database = keycloak_json.generation_dir(found, record.generation) / "volumes" / "data" / "keycloakdb.mv.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"x" * SIZE)
    keycloak_json.save_live(found, record)
    return found


def held(settings: Settings) -> footprint.Footprint:
    record = keycloak_json.load_live(settings)
    assert record is not None
    return footprint.of(settings, record)


def test_the_data_is_counted_also_when_no_engine_answers(settings: Settings) -> None:
    found = held(settings)
    assert SIZE <= found.data < SIZE + 2**20
    assert found.memory is None
    assert str(found) == "data 3 MiB, memory unknown"
    assert not found.is_large


def test_large_data_is_warned_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "DATA_WARN", SIZE)
    assert held(settings).is_large


def test_metrics_tell_it(settings: Settings) -> None:
    lines = metrics.as_text(settings).splitlines()
    (told,) = [line for line in lines if line.startswith("warmci_keycloak_data_bytes ")]
    assert SIZE <= float(told.split()[1]) < SIZE + 2**20
    assert not [line for line in lines if line.startswith("warmci_keycloak_memory_bytes ")]


def test_one_that_others_run_is_theirs_to_look_at(settings: Settings) -> None:
    record = keycloak_json.load_live(settings)
    assert record is not None
    keycloak_json.save_live(settings, record.model_copy(update={"generation": ""}))
    assert "warmci_keycloak_data_bytes" not in metrics.as_text(settings)
