"""The record of the live Keycloak: read back as written, private, and never half understood."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from warmci.base.errors import InfraError, UsageError
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.live import keycloak_json
from warmci.live.keycloak_json import DeploymentRecord, LiveRecord

if TYPE_CHECKING:
    from pathlib import Path

GENERATION = "20261124T120000Z-abcdef"
CANARY = "canary-5eCret"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    facts: dict[str, Any] = {"state_dir": open_state(tmp_path / "state", floor_bytes=0).dir}
    return Settings(**facts)


def record(**more: Any) -> LiveRecord:
    facts = {
        "url": "http://warm-keycloak.ci.example.org:20000",
        "version": "1.0.0+26.7.3",
        "commit": "a" * 40,
        "generation": GENERATION,
        "client_id": "warmci-0123456789ab",
        "client_secret": CANARY,
        "failed": {"1.0.1+26.7.4": "it never became healthy"},
    }
    return LiveRecord.model_validate({**facts, **more})


def test_none_yet(settings: Settings) -> None:
    assert keycloak_json.load_live(settings) is None
    assert keycloak_json.generations(settings) == []


def test_what_was_saved_is_loaded(settings: Settings) -> None:
    keycloak_json.save_live(settings, record())
    assert keycloak_json.load_live(settings) == record()
    path = settings.live_dir / "keycloak.json"
    assert (path.stat().st_mode & 0o777, settings.live_dir.stat().st_mode & 0o777) == (0o600, 0o700)
    assert CANARY not in repr(record())
    assert record().access.client_secret == SecretStr(CANARY)
    assert record().domain == "warm-keycloak.ci.example.org"
    assert (record().external, record(generation="").external) == (False, True)


def test_the_deployments_secrets_are_in_its_generation(settings: Settings) -> None:
    home = keycloak_json.generation_dir(settings, GENERATION)
    kept = DeploymentRecord.model_validate({"env_commit": "a" * 40, "secrets": {"admin_password_v1": CANARY}})
    with pytest.raises(InfraError, match=r"deployment.json is missing"):
        keycloak_json.load_deployment(home)
    keycloak_json.save_deployment(home, kept)
    assert keycloak_json.load_deployment(home).plain_secrets() == {"admin_password_v1": CANARY}
    assert CANARY not in repr(kept)
    assert [path.name for path in keycloak_json.generations(settings)] == [GENERATION]


def test_a_generation_is_no_path(settings: Settings) -> None:
    with pytest.raises(UsageError):
        keycloak_json.generation_dir(settings, "../../etc")


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "{}", json.dumps({**record().model_dump(mode="json"), "schema_version": 2}), "\0"]
)
def test_an_unreadable_record_is_not_taken_for_none(settings: Settings, text: str) -> None:
    settings.live_dir.mkdir(mode=0o700)
    (settings.live_dir / "keycloak.json").write_text(text)
    with pytest.raises(InfraError, match=r"keycloak.json") as caught:
        keycloak_json.load_live(settings)
    assert "warmci keycloak reconcile" in (caught.value.hint or "")
    assert CANARY not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.message}"
