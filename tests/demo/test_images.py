"""Demo images: names, cache files and what happens around a build, without an engine and without a network."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from warmci.base import process
from warmci.base.errors import InfraError, UsageError
from warmci.demo import images

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BUSYBOX = "warmci-demo/busybox:1.35"
# What `docker import` of engine 20.10 takes; it refuses STOPSIGNAL, so recipes say stop_signal.
IMPORTABLE = {"CMD", "ENTRYPOINT", "ENV", "EXPOSE", "ONBUILD", "USER", "VOLUME", "WORKDIR"}


class FakeEngine:
    """Has some images, reaches no registry, remembers what was imported."""

    def __init__(self, *present: str, registry: bool = False) -> None:
        self.present = set(present)
        self.registry = registry
        self.imported: list[tuple[str, Path]] = []

    def has_image(self, tag: str) -> bool:
        return tag in self.present

    def pull_image(self, reference: str, tag: str) -> None:
        if not self.registry:
            raise InfraError(f"pull of {reference}: no network")
        self.present.add(tag)

    def import_image(self, tar: Path, tag: str, changes: Sequence[str]) -> None:
        self.imported.append((tag, tar))


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the build scripts, so that a test may replace one."""
    copied = tmp_path / "scripts"
    shutil.copytree(images._SCRIPTS, copied)
    monkeypatch.setattr(images, "_SCRIPTS", copied)
    return copied


@pytest.mark.parametrize("tag", images.IMAGES)
def test_no_image_shadows_an_official_one(tag: str) -> None:
    image = images.IMAGES[tag]
    assert tag == image.tag
    assert tag.startswith("warmci-demo/")
    assert image.official.rpartition("/")[2] in {f"{image.name}:{image.version}", ""}
    assert image.official or image.name == "lasuite-docs"


@pytest.mark.parametrize("tag", images.IMAGES)
def test_every_change_can_be_imported(tag: str) -> None:
    assert {change.split()[0] for change in images.IMAGES[tag].changes} <= IMPORTABLE


def test_another_script_makes_another_cache_file(scripts: Path, tmp_path: Path) -> None:
    image = images.IMAGES["warmci-demo/postgres:15"]
    before = image.tar(tmp_path)
    with (scripts / "postgres.entry.sh").open("a") as file:
        file.write("# changed\n")
    assert image.tar(tmp_path) != before
    assert image.tar(tmp_path).parent == tmp_path


def test_what_the_engine_has_is_left_alone(tmp_path: Path) -> None:
    engine = FakeEngine(*images.IMAGES)
    images.provide_images(engine, images.IMAGES, tmp_path / "cache", lambda _: None)  # type: ignore[arg-type]
    assert not engine.imported
    assert not (tmp_path / "cache").exists()


def test_a_cached_tar_is_imported_without_a_build(tmp_path: Path) -> None:
    tar = images.IMAGES[BUSYBOX].tar(tmp_path)
    tar.write_bytes(b"tree")
    engine = FakeEngine()
    images.provide_images(engine, [BUSYBOX], tmp_path, lambda _: None)  # type: ignore[arg-type]
    assert engine.imported == [(BUSYBOX, tar)]


def test_a_registry_within_reach_spares_the_build(tmp_path: Path) -> None:
    engine = FakeEngine(registry=True)
    images.provide_images(engine, [BUSYBOX], tmp_path / "cache", lambda _: None)  # type: ignore[arg-type]
    assert engine.has_image(BUSYBOX)
    assert not engine.imported


def test_building_without_root_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="needs root"):
        images.build_images([BUSYBOX], tmp_path, lambda _: None)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a build makes namespaces")


@needs_root
def test_a_failed_build_says_its_last_line_and_leaves_only_its_log(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_TOOLS", {name: {} for name in images._TOOLS})
    (scripts / "busybox.build.sh").write_text('echo half >"$OUT"\necho the mirror is away >&2\nexit 7\n')
    cache = tmp_path / "cache"
    with pytest.raises(InfraError, match="the mirror is away") as caught:
        images.build_images([BUSYBOX], cache, lambda _: None)
    log = cache / "busybox-1.35.log"
    assert str(log) in (caught.value.hint or "")
    assert {path.name for path in cache.iterdir()} == {".lock", log.name}


@needs_root
def test_a_build_is_done_once_and_replaces_the_tar_of_an_older_recipe(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_TOOLS", {name: {} for name in images._TOOLS})
    ran = tmp_path / "ran"
    (scripts / "busybox.build.sh").write_text(f'echo "$VERSION" >>{ran}\necho tree >"$OUT"\n')
    cache = tmp_path / "cache"
    cache.mkdir()
    older = cache / "busybox-1.35-000000000000.tar"
    older.write_bytes(b"old")
    for _ in range(2):
        images.build_images([BUSYBOX], cache, lambda _: None)
    assert ran.read_text() == "1.35\n"
    assert images.IMAGES[BUSYBOX].tar(cache).read_text() == "tree\n"
    assert not older.exists()


def test_an_image_is_open_to_its_users_whatever_the_builders_umask(tmp_path: Path) -> None:
    """Seen: /usr/local/bin of the database's image was 0700, so that its user found no entry point."""
    script = f". {images._SCRIPTS}/common.sh; mkdir -p {tmp_path}/usr/local/bin"
    process.run(["sh", "-c", f"umask 077; {script}"], timeout_s=10)
    assert (tmp_path / "usr" / "local").stat().st_mode & 0o777 == 0o755


def test_another_go_script_makes_other_cache_files_of_go_builds_alone(scripts: Path, tmp_path: Path) -> None:
    before = {tag: image.tar(tmp_path) for tag, image in images.IMAGES.items()}
    with (scripts / "go.sh").open("a") as file:
        file.write("# changed\n")
    changed = {tag for tag, image in images.IMAGES.items() if image.tar(tmp_path) != before[tag]}
    assert {tag.partition("/")[2].partition(":")[0] for tag in changed} == {"miniflux", "traefik"}


def test_the_story_builds_no_traefik() -> None:
    assert images.TRAEFIK not in images.STORY
