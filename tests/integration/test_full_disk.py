"""A disk filled to the brim: pruning makes room, canonicals stay, and no image of anybody else is touched."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.bench import entered
from support.registries import real_registry
from support.trees import canonical_of, save
from warmci.base import process
from warmci.base.errors import InfraError
from warmci.base.locks import Holder, app_lock
from warmci.base.names import new_id
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.demo import images, private_engine
from warmci.operate.prune import execute
from warmci.operate.prune_plan import make_plan
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore
from warmci.swarm import pulled
from warmci.swarm.engine import Engine
from warmci.swarm.pull import pull_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.bench import Bench
    from warmci.store.manifest import SnapshotManifest

pytestmark = pytest.mark.integration
MIB = 2**20


@contextmanager
def small_disk(tmp_path: Path, size_mb: int, inodes: int = 20_000) -> Iterator[Path]:
    """An ext4 file system of its own, without the reserve that would let root write on a full one."""
    image, mounted = tmp_path / "disk.img", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(size_mb * MIB)
    mounted.mkdir()
    process.run(["mkfs.ext4", "-q", "-m", "0", "-N", str(inodes), str(image)], timeout_s=60)
    process.run(["mount", "-o", "loop", str(image), str(mounted)], timeout_s=60)
    try:
        yield mounted
    finally:
        process.run(["umount", str(mounted)], timeout_s=60)


def fill(directory: Path) -> None:
    """Until not one byte more goes in."""
    with (directory / "filler").open("ab", buffering=0) as file:
        for size in (MIB, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    with pytest.raises(OSError, match="No space"):
        (directory / "another").write_bytes(b"x" * 8192)
    (directory / "another").unlink(missing_ok=True)
    os.sync()


def fill_inodes(directory: Path) -> None:
    (directory / "many").mkdir()
    with suppress(OSError):
        for number in range(100_000):
            (directory / "many" / str(number)).touch()
    with pytest.raises(OSError, match="No space"):
        (directory / "one more").touch()


def seed(state: Path, megabytes: int) -> SnapshotManifest:
    """A canonical, an orphan beside it, and no trash directory yet: not even that may be needed."""
    with app_lock(state, "demo", Holder.here("r", "demo", "quick"), wait_s=0):
        kept = save(state, content="canonical" * 1000)
    assert CanonicalStore(state).commit(canonical_of(kept)) == []
    orphan = save(state, content="x" * (megabytes * MIB // 6))
    assert orphan.id != kept.id
    return kept


def prune(state: Path, *arguments: str, **settings: str) -> tuple[int, Any, str]:
    argv = [str(Path(sys.executable).with_name("warmci")), "prune", "--json", *arguments]
    env = {**os.environ, "WARMCI_STATE_DIR": str(state), **settings}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.fixture
def own_umask() -> Iterator[None]:
    mask = os.umask(0o077)
    yield
    os.umask(mask)


@pytest.mark.usefixtures("own_umask")
@pytest.mark.parametrize("full", [fill, fill_inodes])
def test_a_full_disk_is_pruned_and_the_canonical_stays(tmp_path: Path, full: Any) -> None:
    marks = {"WARMCI_DISK_LOW_MB": "8", "WARMCI_DISK_HIGH_MB": "16"}
    marks |= {"WARMCI_DISK_LOW_INODES": "5", "WARMCI_DISK_HIGH_INODES": "10"}
    with small_disk(tmp_path, 64, 1000) as disk:
        state = open_state(disk / "state").dir
        kept = seed(state, 24)
        full(disk)
        code, plan, said = prune(state, "--dry-run", **marks)
        assert code == 0, said
        assert [item["kind"] for item in plan["plan"]] == ["snapshot"]
        code, done, said = prune(state, **marks)
        assert code == 0, said
        assert done["plan"] == plan["plan"]
        assert done["removed"] == [plan["plan"][0]["name"]]
        assert done["after"][0]["free"] >= done["before"][0]["free"] + 20 * MIB
        assert done["after"][0]["free_inodes"] > done["before"][0]["free_inodes"]
        assert snapshot.verify(state, "demo", kept.id) == []


def test_a_run_below_the_watermark_prunes_first_and_is_refused_if_that_is_not_enough(
    bench: Bench, tmp_path: Path
) -> None:
    marks = {"WARMCI_DISK_LOW_MB": "60", "WARMCI_DISK_HIGH_MB": "80"}
    marks |= {"WARMCI_DISK_LOW_INODES": "100", "WARMCI_DISK_HIGH_INODES": "200"}
    with small_disk(tmp_path, 200) as disk:
        state = disk / "state"
        named = {"WARMCI_STATE_DIR": str(state), **marks}
        mask = os.umask(0o077)
        kept = seed(open_state(state).dir, 100)
        os.umask(mask)
        fill(disk)
        answer = bench.run("custom-html", "--pr", "1", "--ref", "no-such-ref", **named)
        assert "low on disk" in answer.stderr
        assert "pruned 1 of 1 items" in answer.stderr
        assert "no branch, tag or commit no-such-ref" in answer.result.summary  # it began
        assert snapshot.verify(state, "demo", kept.id) == []
        fill(disk)
        refused = bench.run("custom-html", "--pr", "1", "--ref", "main", **named)
        assert refused.code == 3, refused.stderr
        assert "error: no space" in refused.stderr
        assert "hint: warmci prune" in refused.stderr
        assert snapshot.verify(state, "demo", kept.id) == []


def imported(bench: Bench, tmp_path: Path, tag: str) -> str:
    """A tiny image of its own content, so that its id is unique; returns the id."""
    path = tmp_path / "tiny.tar"
    with tarfile.open(path, "w") as tar:
        data = tag.encode()
        member = tarfile.TarInfo("name")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    bench.engine.import_image(path, tag, ['CMD ["/x"]'])
    return bench.engine.image_digest(tag)


def docker(bench: Bench, *arguments: str) -> str:
    argv = ["docker", "-H", bench.settings.docker_host, *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.mark.usefixtures("own_umask")
def test_images_on_a_real_engine(bench: Bench, tmp_path: Path) -> None:
    settings = Settings.model_validate({**bench.settings.model_dump(), "state_dir": tmp_path / "state"})
    state, engine = open_state(settings.state_dir).dir, bench.engine
    store = CanonicalStore(state)
    names = ["free", "foreign", "pinned", "stopped", "twice"]
    tags = {name: f"warmci-test/{new_id()[-6:]}-{name}:1" for name in names}
    assert pulled.absent(engine, tags.values()) == sorted(tags.values())
    ids = {name: imported(bench, tmp_path, tag) for name, tag in tags.items()}
    before = {str(image["Id"]) for image in engine.images()}
    try:
        pulled.record(state, engine, [tag for name, tag in tags.items() if name != "foreign"], new_id())
        manifest = save(state)
        assert store.commit(canonical_of(manifest, images={"app": ids["pinned"]})) == []
        docker(bench, "create", "--name", "warmci-test-stopped", tags["stopped"])
        docker(bench, "tag", tags["twice"], f"{tags['twice']}x")
        plan = make_plan(settings, store, engine, images=True)
        assert [item.name for item in plan.items] == [ids["free"]]
        assert plan.items[0].reason.startswith(tags["free"])
        assert execute(plan, settings, store, engine).stayed == {}
        assert {str(image["Id"]) for image in engine.images()} == before - {ids["free"]}
        assert make_plan(settings, store, engine, images=True).items == ()
    finally:
        docker(bench, "rm", "warmci-test-stopped")
        docker(bench, "rmi", *(tag for name, tag in tags.items() if name != "free"), f"{tags['twice']}x")


def test_an_engine_whose_disk_is_full_is_infrastructure_in_a_pull(tmp_path: Path) -> None:
    tag = "warmci-demo/busybox:1.35"
    with small_disk(tmp_path, 400) as disk:
        started = private_engine.start(disk / "engine", print)
        try:
            engine = Engine(started.docker_host)
            images.provide_images(engine, [tag], images.default_cache_dir(), print)
            docker = ["docker", "--config", str(tmp_path), "-H", started.docker_host]
            with entered(started.netns), real_registry(tmp_path / "registry") as registry:
                reference = f"{registry.address}/team/app:1"
                for argv in (["tag", tag, reference], ["push", "-q", reference], ["rmi", reference, tag]):
                    process.run([*docker, *argv], timeout_s=60)
                fill(disk)
                with pytest.raises(InfraError, match=f"cannot be pulled from {registry.address}: .*no space") as caught:
                    pull_images(engine, [reference], deadline_s=60, on_change=lambda _: None)
            assert "warmci prune" in (caught.value.hint or "")
        finally:
            (disk / "filler").unlink(missing_ok=True)
            private_engine.destroy(disk / "engine")
