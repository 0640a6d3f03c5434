"""What a quick run sees of a snapshot that is too large to be walked through, and what it does not."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmci.base.errors import InfraError
from warmci.base.models import Canonical
from warmci.store import outline, snapshot
from warmci.store.canonical import CanonicalStore
from warmci.store.manifest import new_manifest, volumes_of
from warmci.store.scan import quoted
from warmci.store.tree import Entry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECIPE, SNAPSHOT = "demo", "20261124T120000Z-0a1b2c"
texts = st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=20).map(quoted)
NASTY = st.sampled_from([quoted('":[[".","d",'), quoted('"data":[["'), "d", "."])


def entry(path: str, kind: str = "f", target: str = "", xattrs: tuple[str, ...] = ()) -> Entry:
    return Entry(path, kind, 0o644, 0, 0, 1, 1, 0, 0, dict.fromkeys(xattrs, "00"), target, "")


@given(
    volumes=st.dictionaries(st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,12}", fullmatch=True), st.lists(texts | NASTY)),
    target=texts | NASTY,
)
def test_the_volumes_of_any_manifest_are_found_in_its_text(volumes: dict[str, list[str]], target: str) -> None:
    entries = {
        name: (entry(".", "d"), *(entry(path, "l", target, (target,)) for path in paths))
        for name, paths in volumes.items()
    }
    text = new_manifest(RECIPE, SNAPSHOT, entries).text().encode()
    assert volumes_of(text) == sorted(volumes)


@pytest.fixture
def canonical(tmp_path: Path) -> Canonical:
    staging = snapshot.stage(tmp_path, RECIPE, SNAPSHOT)
    for name in ("data", "media"):
        volume = snapshot.make_volume(staging, name)
        (volume / "deep").mkdir()
        (volume / "deep" / "file").write_text("as saved", encoding="utf-8")
    manifest = snapshot.finish(staging)
    return Canonical.model_validate(
        {
            "recipe": RECIPE,
            "state": "good",
            "commit": "0" * 40,
            "version": "1.0.0+1",
            "images": {},
            "domain": "warm-demo.example",
            "port": 20000,
            "snapshot": SNAPSHOT,
            "lineage": (),
            "secrets": {},
            "manifest_sha256": manifest.sha256,
            "run": SNAPSHOT,
            "created": "2026-11-24T12:00:00Z",
        }
    )


def test_a_snapshots_outline(tmp_path: Path, canonical: Canonical) -> None:
    assert outline.outline(tmp_path, canonical) == outline.Outline(("data", "media"), is_small=True)


def test_another_manifest_is_never_taken(tmp_path: Path, canonical: Canonical) -> None:
    path = snapshot.snapshot_dir(tmp_path, RECIPE, SNAPSHOT) / "manifest.json"
    text = path.read_bytes()
    flipped = text.replace(b'"data":', b'"d\xe1ta":')
    for damaged in (text + b" ", flipped, text[text.index(b'"volumes"') + 11 :], b""):
        path.write_bytes(damaged)
        with pytest.raises(snapshot.NotCommittedError):
            outline.outline(tmp_path, canonical)
        assert CanonicalStore(tmp_path).damage(canonical) == [f"{path} is not the one that was committed"]
    path.unlink()
    with pytest.raises(InfraError, match="No such file"):
        outline.outline(tmp_path, canonical)


def test_a_manifest_is_read_once_as_long_as_nobody_writes_to_it(
    tmp_path: Path, canonical: Canonical, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = snapshot.snapshot_dir(tmp_path, RECIPE, SNAPSHOT) / "manifest.json"
    taken_apart = Mock(side_effect=volumes_of)
    monkeypatch.setattr(outline, "volumes_of", taken_apart)
    outline.outline(tmp_path, canonical)
    outline.outline(tmp_path, canonical)
    assert taken_apart.call_count == 1
    later_than_all(tmp_path)  # else a coarse clock stamps the write with the same time
    was = path.stat()
    path.write_bytes(b"x" * was.st_size)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    with pytest.raises(snapshot.NotCommittedError):
        outline.outline(tmp_path, canonical)


def keep_time(path: Path) -> None:
    was = path.stat()
    path.write_text("as forged", encoding="utf-8")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: (data / "deep" / "file").write_text("other", encoding="utf-8"),
        lambda data: keep_time(data / "deep" / "file"),
        lambda data: (data / "deep" / "file").chmod(0o600),
        lambda data: os.chown(data / "deep", 1, 1),
        lambda data: os.setxattr(data, "user.x", b"1"),
        lambda data: (data / "new").touch(),
        lambda data: (data / "deep" / "file").unlink(),
    ],
)
def test_what_is_changed_meanwhile_is_seen(
    tmp_path: Path, canonical: Canonical, change: Callable[[Path], object]
) -> None:
    since_ns = later_than_all(tmp_path)
    assert outline.touched(tmp_path, canonical, since_ns) == []
    data = snapshot.snapshot_dir(tmp_path, RECIPE, SNAPSHOT) / "volumes" / "data"
    (data / "deep" / "file").read_text(encoding="utf-8")
    assert outline.touched(tmp_path, canonical, since_ns) == []
    change(data)
    assert any("data" in line for line in outline.touched(tmp_path, canonical, since_ns))


def test_what_lies_beyond_the_first_objects_is_not_seen(
    tmp_path: Path, canonical: Canonical, monkeypatch: pytest.MonkeyPatch
) -> None:
    since_ns = later_than_all(tmp_path)
    path = snapshot.snapshot_dir(tmp_path, RECIPE, SNAPSHOT) / "volumes" / "media" / "deep" / "file"
    path.write_text("other", encoding="utf-8")
    assert outline.touched(tmp_path, canonical, since_ns) != []
    monkeypatch.setattr(outline, "LOOKED_AT", 3)
    assert outline.touched(tmp_path, canonical, since_ns) == []
    assert snapshot.verify(tmp_path, RECIPE, SNAPSHOT, read_data=False) != []


def later_than_all(home: Path) -> int:
    """A moment of the clock that the file system stamps with, after everything in home."""
    newest = max(path.lstat().st_ctime_ns for path in home.rglob("*"))
    probe = home / "probe"
    while True:
        probe.touch()
        if (now := probe.stat().st_ctime_ns) > newest:
            return now
        time.sleep(0.001)
