"""What earlier versions wrote is read for good: one committed sample of each version of each file.

A change of a format adds a version and a sample. A sample is never edited: that it still parses is the promise.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal, get_args

import pytest

from warmci.base.errors import InfraError
from warmci.base.models import Canonical, Record
from warmci.base.state import open_state
from warmci.store.canonical import VERSION, CanonicalStore
from warmci.store.manifest import SnapshotManifest, load_manifest
from warmci.store.restore_journal import RestoreJournal, load

DATA = Path(__file__).parents[1] / "data"
DEFAULTS = {"ingress": "direct", "scheme": "http"}
"""What a field that came later says of an older file; empty if not named."""
MANIFEST_SHA256 = "82772e4bd4c589a9c085d8fb4669ce5579a6d438c148c8c841d2bd155c58680e"
FORMATS: dict[str, type[Record]] = {
    "canonical": Canonical,
    "manifest": SnapshotManifest,
    "restore": RestoreJournal,
}


def placed(tmp_path: Path, sample: str, name: str) -> CanonicalStore:
    store = CanonicalStore(open_state(tmp_path / "state").dir)
    (store.dir / "demo").mkdir(mode=0o700)
    (store.dir / "demo" / name).write_bytes((DATA / sample).read_bytes())
    return store


@pytest.mark.parametrize("sample", ["canonical-1.json", "canonical-1-least.json"])
def test_canonical_1(tmp_path: Path, sample: str) -> None:
    store = placed(tmp_path, sample, "canonical.json")
    found = store.load("demo")
    assert found is not None
    said = json.loads((DATA / sample).read_text())
    again = found.model_dump(mode="json")
    assert {name: again[name] for name in said} == said
    added = again.keys() - said.keys()
    assert {name: again[name] for name in added} == {name: DEFAULTS.get(name, "") for name in added}


def test_manifest_1() -> None:
    """Its bytes are hashed by canonicals on disk, so they must come out the same for good."""
    path = DATA / "manifest-1.json"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == MANIFEST_SHA256
    found = load_manifest(path)
    assert found.text() == path.read_text()
    assert found.sha256 == MANIFEST_SHA256
    assert {entry.type for entry in found.volumes["data"]} == set("dflpscb")
    assert [volume.name for volume in found.summary()] == ["data", "empty-volume"]


def test_restore_1(tmp_path: Path) -> None:
    store = placed(tmp_path, "restore-1.json", "restore.json")
    found = load(store.dir, "demo")
    assert found is not None
    assert found.model_dump(mode="json") == json.loads((DATA / "restore-1.json").read_text())


@pytest.mark.parametrize("name", FORMATS)
def test_every_version_has_a_sample(name: str) -> None:
    versions = get_args(FORMATS[name].model_fields["schema_version"].annotation)
    assert versions
    assert [version for version in versions if not (DATA / f"{name}-{version}.json").exists()] == []
    if name == "canonical":
        assert versions == get_args(Literal[1])
        assert versions[-1] == VERSION


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_other_versions_are_refused(tmp_path: Path, version: object) -> None:
    value = {**json.loads((DATA / "canonical-1.json").read_text()), "schema_version": version}
    store = placed(tmp_path, "canonical-1.json", "canonical.json")
    (store.dir / "demo" / "canonical.json").write_text(json.dumps(value))
    with pytest.raises(InfraError, match="schema version"):
        store.load("demo")
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads((DATA / "manifest-1.json").read_text()), "schema_version": version}))
    with pytest.raises(InfraError, match="schema_version"):
        load_manifest(path)
