"""Pruning: only what is garbage, the same with and without --dry-run, and nothing that somebody needs."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from support.results import result
from support.trees import canonical_of, save
from warmci.base import fs
from warmci.base.disk import Room
from warmci.base.errors import InfraError
from warmci.base.locks import Holder, app_lock, slot
from warmci.base.names import new_id
from warmci.base.run_locks import run_lock
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.cli import app as cli
from warmci.operate import prune
from warmci.operate.prune import execute, make_room
from warmci.operate.prune_plan import Item, Plan, make_plan
from warmci.report.console import Console
from warmci.run import pulls
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore
from warmci.swarm import pulled
from warmci.swarm.images import PullRefusedError
from warmci.swarm.pull import MissingImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warmci.store.manifest import SnapshotManifest
    from warmci.swarm.engine import Engine


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    mask = os.umask(0o077)
    open_state(tmp_path / "state")
    yield Settings(state_dir=tmp_path / "state", keep_runs=2)
    os.umask(mask)


@pytest.fixture
def store(settings: Settings) -> CanonicalStore:
    return CanonicalStore(settings.state_dir)


def canonical(settings: Settings, recipe: str = "demo", **changes: object) -> SnapshotManifest:
    manifest = save(settings.state_dir, recipe)
    assert CanonicalStore(settings.state_dir).commit(canonical_of(manifest, **changes)) == []
    return manifest


def trash(settings: Settings, recipe: str = "demo", size: int = 1000) -> Path:
    path = settings.state_dir / recipe / "trash" / new_id()
    path.mkdir(parents=True)
    (path / "rubbish").write_bytes(b"x" * size)
    return path


def finished(settings: Settings, recipe: str = "demo", run: str = "", *, work: bool = False, **facts: Any) -> str:
    run = run or new_id()
    with run_lock(settings.runs_dir / run) as lock:
        if work:
            (lock.dir / "work" / "repository").mkdir(parents=True)
        if recipe:
            fs.write_json(lock.dir / "result.json", result(run=run, recipe=recipe, **facts).model_dump(mode="json"))
    return run


def everything(state: Path) -> set[str]:
    return {str(path.relative_to(state)) for path in state.rglob("*")}


def planned(plan: Plan) -> list[tuple[str, str]]:
    return [(item.kind, item.name) for item in plan.items]


# --- what is planned


def test_an_empty_state_has_nothing_to_prune(settings: Settings, store: CanonicalStore) -> None:
    assert make_plan(settings, store, None, images=True) == Plan(())


def test_everything_that_is_garbage_in_the_order_of_its_worth(settings: Settings, store: CanonicalStore) -> None:
    kept = canonical(settings)
    run = finished(settings, work=True)
    orphan = save(settings.state_dir, content="orphan")
    staged = snapshot.stage(settings.state_dir, "demo", new_id())
    rubbish = trash(settings, size=300_000)
    plan = make_plan(settings, store, None, images=False)
    assert planned(plan) == [
        ("trash", f"demo/trash/{rubbish.name}"),
        ("staging", f"demo/staging/{staged.name}"),
        ("work", f".runs/{run}/work"),
        ("snapshot", f"demo/snapshots/{orphan.id}"),
    ]
    assert plan.items[0].bytes >= 300_000
    assert all(item.reason and item.inodes for item in plan.items)
    done = execute(plan, settings, store, None)
    assert [item.name for item in done.removed] == [item.name for item in plan.items]
    assert done.freed >= 300_000
    assert make_plan(settings, store, None, images=False).items == ()
    assert snapshot.verify(settings.state_dir, "demo", kept.id) == []
    assert (settings.runs_dir / run / "result.json").exists()


def test_what_lives_is_not_garbage(settings: Settings, store: CanonicalStore) -> None:
    canonical(settings)
    with run_lock(settings.runs_dir / new_id()) as lock:
        (lock.dir / "work").mkdir()
        snapshot.stage(settings.state_dir, "demo", new_id(), run=lock.dir.name)
        assert make_plan(settings, store, None, images=False).items == ()


def test_old_runs_go_by_recipe_and_the_oldest_first(settings: Settings, store: CanonicalStore) -> None:
    old = [f"2026010{day}T000000Z-00000{day}" for day in range(1, 6)]
    for run in reversed(old):
        finished(settings, "demo", run)
    others = [finished(settings, "other"), finished(settings, "other")]
    killed = [f"2025010{day}T000000Z-00000{day}" for day in range(1, 4)]
    for run in killed:
        finished(settings, "", run)
    plan = make_plan(settings, store, None, images=False)
    assert planned(plan) == [("run", f".runs/{run}") for run in [killed[0], *old[:3]]]
    execute(plan, settings, store, None)
    left = {path.name for path in settings.runs_dir.iterdir()}
    assert left == {*old[3:], *others, *killed[1:]}


def test_many_runs_of_one_kind_push_out_none_of_another(settings: Settings, store: CanonicalStore) -> None:
    """The sweep's own runs are what tells it when a recipe was last green."""
    trusted = finished(settings, run="20260101T000000Z-000000", pr="", trusted=True)
    for number in range(1, 7):
        finished(settings, run=f"2026020{number}T000000Z-000000", pr="7")
        finished(settings, run=f"2026030{number}T000000Z-000000", requested="quick", ran="quick")
    plan = make_plan(settings, store, None, images=False)
    assert len(plan.items) == 8
    assert f".runs/{trusted}" not in {item.name for item in plan.items}


def test_old_sweeps_go_the_newest_stay(settings: Settings, store: CanonicalStore) -> None:
    names = [f"2026010{day}T000000Z-00000{day}" for day in range(1, 5)]
    for name in names:
        (settings.state_dir / ".sweeps" / name).mkdir(parents=True)
    plan = make_plan(settings, store, None, images=False)
    assert planned(plan) == [("sweep", f".sweeps/{name}") for name in names[:2]]
    assert execute(plan, settings, store, None).stayed == {}
    assert sorted(path.name for path in (settings.state_dir / ".sweeps").iterdir()) == names[2:]


@pytest.mark.parametrize("broken", ["canonical.json", "manifest.json", "restore.json"])
def test_a_recipe_that_cannot_be_read_is_left_alone(settings: Settings, store: CanonicalStore, broken: str) -> None:
    manifest = canonical(settings)
    orphan = save(settings.state_dir, content="orphan")
    trash(settings)
    other = trash(settings, "other")
    home = settings.state_dir / "demo"
    path = home / "snapshots" / manifest.id / broken if broken == "manifest.json" else home / broken
    path.write_text("{")
    plan = make_plan(settings, store, None, images=False)
    assert planned(plan) == [("trash", f"other/trash/{other.name}")]
    assert plan.left[0].startswith("demo: ")
    execute(plan, settings, store, None)
    assert (home / "snapshots" / orphan.id).exists()
    assert not other.exists()


def test_a_recipe_may_be_called_like_a_directory_of_ours(settings: Settings, store: CanonicalStore) -> None:
    for recipe in ("snapshots", "staging", "trash"):
        kept = canonical(settings, recipe)
        (settings.state_dir / recipe / ".canonical.json.7.tmp").write_text("torn")
        plan = make_plan(settings, store, None, images=False)
        assert planned(plan) == [("trash", f"{recipe}/.canonical.json.7.tmp")]
        assert execute(plan, settings, store, None).stayed == {}
        assert snapshot.verify(settings.state_dir, recipe, kept.id) == []


def test_a_state_directory_below_a_link(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    linked = settings.model_copy(update={"state_dir": tmp_path / "link" / "state"})
    rubbish = trash(settings)
    store = CanonicalStore(open_state(linked.state_dir).dir)
    assert execute(make_plan(linked, store, None, images=False), linked, store, None).stayed == {}
    assert not rubbish.exists()


# --- what is done


def test_what_is_no_garbage_any_more_stays(settings: Settings, store: CanonicalStore) -> None:
    manifest = save(settings.state_dir)
    run = finished(settings, work=True)
    plan = make_plan(settings, store, None, images=False)
    store.commit(canonical_of(manifest))
    (settings.runs_dir / run).rename(settings.runs_dir / "moved")
    with run_lock(settings.runs_dir / run) as lock:
        (lock.dir / "work").mkdir()
        done = execute(plan, settings, store, None)
    assert set(done.stayed.values()) == {"in use by now", "alive by now"}
    assert snapshot.verify(settings.state_dir, "demo", manifest.id) == []


def test_a_recipe_that_somebody_works_on_is_left_to_him(settings: Settings, store: CanonicalStore) -> None:
    mine, other = trash(settings), trash(settings, "other")
    plan = make_plan(settings, store, None, images=False)
    with app_lock(settings.state_dir, "demo", Holder.here("r", "demo", "quick"), wait_s=0):
        done = execute(plan, settings, store, None)
    assert done.stayed == {f"demo/trash/{mine.name}": "somebody works on demo"}
    assert mine.exists()
    assert not other.exists()


def test_what_failed_is_tried_again_once_room_was_made(
    settings: Settings, store: CanonicalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk so full that not even a rename into a new trash directory works."""
    save(settings.state_dir)
    for number in range(3):
        finished(settings, run=f"2026010{number + 1}T000000Z-000000")
    real, asked = snapshot.discard, []

    def discard(*arguments: Any) -> None:
        asked.append(arguments)
        if len(asked) == 1:
            raise InfraError("no space")
        real(*arguments)

    monkeypatch.setattr(snapshot, "discard", discard)
    done = execute(make_plan(settings, store, None, images=False), settings, store, None)
    assert [item.kind for item in done.removed] == ["run", "snapshot"]
    assert done.stayed == {}
    assert len(asked) == 2


def test_it_stops_when_there_is_enough(settings: Settings, store: CanonicalStore) -> None:
    for _ in range(4):
        trash(settings)
    left = [2]

    def enough() -> bool:
        left[0] -= 1
        return left[0] < 0

    done = execute(make_plan(settings, store, None, images=False), settings, store, None, enough=enough)
    assert len(done.removed) == 2


def test_work_that_is_still_mounted_stays(
    settings: Settings, store: CanonicalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(settings, work=True)
    work = settings.runs_dir / run / "work"

    def refuse(path: Path) -> None:
        raise InfraError(f"{path} is mounted")

    monkeypatch.setattr(snapshot, "refuse_mounted", refuse)
    done = execute(make_plan(settings, store, None, images=False), settings, store, None)
    assert "is mounted" in done.stayed[f".runs/{run}/work"]
    assert work.exists()


@given(
    st.lists(st.sampled_from(["trash", "staging", "orphan", "run", "work", "live", "canonical"]), max_size=8),
    st.integers(1, 3),
)
@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_only_what_was_planned_goes_and_canonicals_stay(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], keep: int
) -> None:
    mask = os.umask(0o077)
    settings = Settings(state_dir=open_state(tmp_path_factory.mktemp("p") / "state").dir, keep_runs=keep)
    store = CanonicalStore(settings.state_dir)
    kept: dict[str, SnapshotManifest] = {}
    with ExitStack() as alive:
        for number, part in enumerate(parts):
            recipe = f"demo{number % 2}"
            if part == "trash":
                trash(settings, recipe)
            elif part == "staging":
                snapshot.stage(settings.state_dir, recipe, new_id())
            elif part == "orphan":
                save(settings.state_dir, recipe)
            elif part in {"run", "work"}:
                finished(settings, recipe, work=part == "work")
            elif part == "live":
                run = alive.enter_context(run_lock(settings.runs_dir / new_id())).dir.name
                snapshot.stage(settings.state_dir, recipe, new_id(), run=run)
            else:
                kept[recipe] = canonical(settings, recipe)
        plan = make_plan(settings, store, None, images=False)
        before = everything(settings.state_dir)
        done = execute(plan, settings, store, None)
        gone = before - everything(settings.state_dir)
        assert done.stayed == {}
        assert all(any(name == i.name or name.startswith(f"{i.name}/") for i in plan.items) for name in gone)
        assert {item.name for item in plan.items} <= gone
    for recipe, manifest in kept.items():
        assert snapshot.verify(settings.state_dir, recipe, manifest.id) == []
    os.umask(mask)


# --- images, on an engine that is a table


class Images:
    """The few answers that pruning asks an engine for."""

    def __init__(self) -> None:
        self.tags: dict[str, list[str]] = {}
        self.containers_of: list[str] = []
        self.services_of: list[str] = []
        self.removed: list[str] = []

    def images(self) -> list[dict[str, Any]]:
        return [{"Id": image, "RepoTags": tags, "Size": 10} for image, tags in self.tags.items()]

    def image_digest(self, reference: str) -> str:
        return next((image for image, tags in self.tags.items() if reference in {image, *tags}), reference)

    def has_image(self, reference: str) -> bool:
        return self.image_digest(reference) != reference

    def containers(self) -> list[dict[str, Any]]:
        return [{"ImageID": image} for image in self.containers_of]

    def services(self) -> list[dict[str, Any]]:
        return [{"Spec": {"TaskTemplate": {"ContainerSpec": {"Image": name}}}} for name in self.services_of]

    def remove_image(self, image: str) -> None:
        self.removed.append(image)
        del self.tags[image]

    def data_root(self) -> str:
        return "/nonexistent"


def test_only_images_that_runs_pulled_and_nobody_needs(settings: Settings, store: CanonicalStore) -> None:
    fake = Images()
    engine = cast("Engine", fake)
    names = ["free", "foreign", "pinned", "running", "served", "twice", "dangling", "retagged"]
    fake.tags = {f"sha256:{name}": [f"{name}:1"] for name in names}
    before = Images()
    before.tags = {"sha256:foreign": ["foreign:1"]}
    wanted = pulled.absent(cast("Engine", before), [f"{name}:1" for name in names])
    assert "foreign:1" not in wanted
    pulled.record(settings.state_dir, engine, wanted, "run")
    fake.tags["sha256:twice"].append("mine:latest")
    fake.tags["sha256:dangling"] = []
    fake.tags["sha256:retagged"] = ["other:1"]
    fake.containers_of = ["sha256:running"]
    fake.services_of = ["served:1"]
    canonical(settings, images={"app": "sha256:pinned"})
    plan = make_plan(settings, store, engine, images=True)
    assert sorted(item.name for item in plan.items) == ["sha256:dangling", "sha256:free"]
    assert make_plan(settings, store, engine, images=False).items == ()
    with run_lock(settings.runs_dir / new_id()), slot(settings.state_dir, 2, Holder.here("r", "demo", "run"), wait_s=0):
        assert set(execute(plan, settings, store, engine).stayed.values()) == {"a run is under way"}
    assert fake.removed == []
    assert execute(plan, settings, store, engine).stayed == {}
    assert sorted(fake.removed) == ["sha256:dangling", "sha256:free"]
    assert {item.id for item in pulled.load(settings.state_dir)} & set(fake.removed) == set()


def test_an_image_that_is_wanted_by_now_stays(settings: Settings, store: CanonicalStore) -> None:
    fake = Images()
    engine = cast("Engine", fake)
    fake.tags = {"sha256:a": ["a:1"]}
    pulled.record(settings.state_dir, engine, ["a:1"], "run")
    plan = make_plan(settings, store, engine, images=True)
    fake.containers_of = ["sha256:a"]
    assert execute(plan, settings, store, engine).stayed == {"sha256:a": "in use by now"}
    fake.containers_of = []
    canonical(settings, images={"app": "sha256:a"})
    assert execute(plan, settings, store, engine).stayed == {"sha256:a": "in use by now"}


def test_no_image_goes_while_a_canonical_or_the_record_cannot_be_read(
    settings: Settings, store: CanonicalStore
) -> None:
    fake = Images()
    engine = cast("Engine", fake)
    fake.tags = {"sha256:a": ["a:1"]}
    pulled.record(settings.state_dir, engine, ["a:1"], "run")
    canonical(settings)
    (settings.state_dir / "demo" / "canonical.json").write_text("{")
    plan = make_plan(settings, store, engine, images=True)
    assert plan.items == ()
    assert any(line.startswith("images: ") for line in plan.left)
    (settings.state_dir / "demo" / "canonical.json").unlink()
    (settings.state_dir / ".images.json").write_text('{"version": 2}')
    assert make_plan(settings, store, engine, images=True).left[0].startswith("images: ")


def test_what_is_not_there_is_not_recorded(settings: Settings) -> None:
    pulled.record(settings.state_dir, cast("Engine", Images()), ["a:1"], "run")
    assert pulled.load(settings.state_dir) == []


@pytest.mark.parametrize("all_come", [True, False])
def test_the_images_that_came_for_a_run_are_recorded(settings: Settings, all_come: bool) -> None:
    """Also when another does not come: a red pull request's images are garbage soonest."""

    class Pulling(Images):
        def pull(self, reference: str, _: Any) -> None:
            if reference == "missing:1":
                raise PullRefusedError(reference, "manifest unknown", 404)
            self.tags["sha256:new"] = [reference]

        def registry_of(self, _: str) -> str:
            return "docker.io"

    engine = Pulling()
    engine.tags = {"sha256:old": ["old:1"]}
    context = SimpleNamespace(settings=settings, engine=engine, console=Console(quiet=True), run_id="run-a")
    wanted = ["new:1", "old:1"]
    assert pulls.pull(cast("Any", context), wanted) == ["new:1"]
    if not all_come:
        with pytest.raises(MissingImageError, match="no such image: missing:1"):
            pulls.pull(cast("Any", context), [*wanted, "missing:1"])
    assert [(item.id, item.reference, item.run) for item in pulled.load(settings.state_dir)] == [
        ("sha256:new", "new:1", "run-a")
    ]


# --- before a run


def test_a_run_with_room_prunes_nothing(settings: Settings, store: CanonicalStore) -> None:
    rubbish = trash(settings)
    said: list[str] = []
    make_room(settings, store, cast("Engine", Images()), said.append)
    assert rubbish.exists()
    assert said == []


def test_a_run_that_is_short_prunes_until_the_high_mark_only(
    settings: Settings, store: CanonicalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        trash(settings)
    marks = settings.model_copy(update={"disk_low_mb": 10, "disk_high_mb": 12})

    def seen(*_: Any) -> list[Room]:
        free = 14 - len(list((settings.state_dir / "demo" / "trash").iterdir()))
        return [Room(path="/s", free=free * 2**20, total=10**9, free_inodes=None, total_inodes=None)]

    monkeypatch.setattr(prune, "rooms", seen)
    said: list[str] = []
    make_room(marks, store, cast("Engine", Images()), said.append)
    assert len(list((settings.state_dir / "demo" / "trash").iterdir())) == 2  # 9 MiB were free, now 12
    assert "low on disk" in said[0]
    make_room(marks, store, cast("Engine", Images()), said.append)
    assert len(said) == 2  # at 12 there is nothing to do; it begins again below 10


def test_a_run_that_stays_short_is_refused(settings: Settings, store: CanonicalStore) -> None:
    short = settings.model_copy(update={"disk_low_mb": 10**9, "disk_high_mb": 10**9})
    rubbish = trash(settings)
    with pytest.raises(InfraError, match="no space") as caught:
        make_room(short, store, cast("Engine", Images()), lambda _: None)
    assert "warmci prune" in str(caught.value.hint)
    assert not rubbish.exists()


# --- the command


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("WARMCI_STATE_DIR", str(settings.state_dir))
    monkeypatch.setattr("warmci.cli.prune._engine", lambda *_: None)

    def run(*arguments: str) -> tuple[int, Any]:
        code = cli.main(["prune", *arguments])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else said.err

    return run


def test_the_dry_run_prints_the_plan_that_the_real_run_executes(settings: Settings, command: Any) -> None:
    canonical(settings)
    trash(settings)
    save(settings.state_dir, content="orphan")
    finished(settings, work=True)
    before = everything(settings.state_dir)
    code, dry = command("--dry-run", "--json")
    assert code == 0
    assert (dry["dry_run"], dry["removed"], dry["stayed"]) == (True, [], {})
    assert everything(settings.state_dir) == before
    code, real = command("--json")
    assert code == 0
    assert real["plan"] == dry["plan"]
    assert len(real["plan"]) == 3
    assert real["removed"] == [item["name"] for item in dry["plan"]]
    assert [Item.model_validate(item) for item in real["plan"]]
    assert command("--json")[1]["plan"] == []


def test_people_see_the_plan_first(settings: Settings, command: Any) -> None:
    rubbish = trash(settings)
    code, said = command("--dry-run")
    assert code == 0
    assert rubbish.name in said
    assert "thrown away already" in said
    assert "removed" not in said.replace("to be removed", "")
    assert rubbish.exists()
    code, said = command()
    assert code == 0
    assert "removed 1 items" in said


def test_what_stays_is_an_exit_code(settings: Settings, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trash(settings)
    with app_lock(settings.state_dir, "demo", Holder.here("r", "demo", "quick"), wait_s=0):
        code, said = command()
    assert code == 3
    assert "somebody works on demo" in said
    monkeypatch.setenv("WARMCI_DISK_LOW_MB", str(10**9))
    monkeypatch.setenv("WARMCI_DISK_HIGH_MB", str(10**9))
    code, said = command()
    assert code == 3
    assert "still low on disk" in said
