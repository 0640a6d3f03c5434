"""Saving the volumes of an app that somebody else deployed: complete, at rest, and nothing instead of a doubt."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from support.fake_engine import FakeEngine, container, service
from support.hostile_trees import HOSTILE
from support.trees import plant_torture
from warmci.base import fs, interrupts, process
from warmci.base.errors import BusyError, InfraError, InterruptedRunError, UsageError
from warmci.base.labels import NAMESPACE_LABEL
from warmci.base.locks import Holder, app_lock
from warmci.base.names import new_id
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.demo import recipes as demo_recipes
from warmci.operate import save
from warmci.operate.deployed_app import SaveRequest, read_secrets
from warmci.report.console import Console
from warmci.store import copying, recipe_lock, snapshot, tree
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from warmci.base.models import Canonical

DOMAIN = "warm-custom-html.warmci.localhost"
STACK = "warm-custom-html_warmci_localhost"
FIRST, SECOND = "1.0.0+1.35.0", "1.1.0+1.35.0"


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recipes")
    demo_recipes.instantiate(root)
    return root


class Place:
    def __init__(self, home: Path, recipes: Path) -> None:
        self.settings = Settings(
            state_dir=home / "state",
            recipes_dir=recipes / "operator",
            recipe_source=f"{recipes}/recipes/{{recipe}}",
            lock_wait_s=0,
        )
        self.engine = FakeEngine(home / "docker")
        self.store = CanonicalStore(open_state(self.settings.state_dir).dir)
        self.plans: list[save.SavePlan] = []

    def save(
        self,
        recipe: str = "custom-html",
        *,
        agree: bool = True,
        ref: str = "",
        domain: str = "",
        stack: str = "",
        secrets: Mapping[str, str] | None = None,
        force: bool = False,
    ) -> Canonical | None:
        def answer(plan: save.SavePlan) -> bool:
            self.plans.append(plan)
            return agree

        request = SaveRequest(recipe, ref, domain, stack, secrets or {}, force)
        return save.save_app(self.settings, Console(quiet=True), request, answer)

    def litter(self) -> list[str]:
        home = self.settings.state_dir / "custom-html"
        found = [path.name for part in ("staging", "trash") for path in (home / part).glob("*")]
        found += [path.name for path in self.settings.runs_dir.iterdir()]
        current = self.store.load("custom-html")
        return found + [name for name in self.store.snapshots("custom-html") if not current or name != current.snapshot]


@pytest.fixture
def place(tmp_path: Path, recipes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    before = os.umask(0o077)
    found = Place(tmp_path, recipes)
    for module in (save, recipe_lock):
        monkeypatch.setattr(module, "Engine", lambda _: found.engine)
    yield found
    os.umask(before)


@pytest.fixture
def content(place: Place) -> Path:
    """The volume of an app that served for a while."""
    root = place.engine.volume(STACK, "content")
    for number in range(20):
        (root / f"page{number}").write_text(f"page {number}")
    return root


def test_the_first_save_makes_a_canonical_of_what_the_operator_says(place: Place, content: Path) -> None:
    plant_torture(content)
    expected = tree.walk(content, read_data=True)
    made = place.save(ref=FIRST)
    assert made == place.store.load("custom-html")
    assert made is not None
    assert (made.state, made.version, made.domain, made.secrets) == ("good", FIRST, DOMAIN, {})
    assert [(past.version, past.run) for past in made.lineage] == [(FIRST, made.run)]
    assert snapshot.verify(place.settings.state_dir, "custom-html", made.snapshot) == []
    saved = snapshot.snapshot_dir(place.settings.state_dir, "custom-html", made.snapshot)
    assert tree.walk(saved / "volumes" / "content", read_data=True) == expected
    assert tree.walk(content, read_data=True) == expected, "the app's own data is only read"
    assert place.litter() == []
    (plan,) = place.plans
    assert (plan.stack, plan.replaces, plan.volumes[0].files) == (STACK, "", len(expected) - 3)


def test_the_next_save_keeps_what_is_known_and_replaces_the_data(place: Place, content: Path) -> None:
    first = place.save(ref=FIRST)
    (content / "more").write_text("more")
    second = place.save()
    assert first is not None
    assert second is not None
    assert place.plans[1].replaces == first.snapshot
    kept = {"snapshot", "manifest_sha256", "created", "run"}
    assert first.model_dump(exclude=kept) == second.model_dump(exclude=kept)
    assert place.store.snapshots("custom-html") == [second.snapshot]
    third = place.save(ref=SECOND)
    assert third is not None
    assert [past.version for past in third.lineage] == [SECOND]


def test_another_domain_means_another_stack(place: Place) -> None:
    root = place.engine.volume("cloud_example_org", "content")
    (root / "page").write_text("x")
    made = place.save(ref=FIRST, domain="cloud.example.org")
    assert made is not None
    assert made.domain == "cloud.example.org"
    other = place.engine.volume("odd", "content")
    (other / "page").write_text("x")
    again = place.save(stack="odd")
    assert again is not None
    assert (again.domain, place.plans[-1].stack) == ("cloud.example.org", "odd")


def test_a_no_and_a_dry_run_change_nothing(place: Place, content: Path) -> None:
    assert place.save(ref=FIRST, agree=False) is None
    assert place.store.load("custom-html") is None
    assert place.litter() == []


def test_what_is_not_known_must_be_said(place: Place, content: Path) -> None:
    with pytest.raises(UsageError, match="say which version") as caught:
        place.save()
    assert "--ref" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no branch, tag or commit"):
        place.save(ref="9.9.9")
    with pytest.raises(UsageError, match="was the app deployed as"):
        place.save(ref=FIRST, domain="nowhere.example.org")
    assert place.litter() == []


def test_code_that_nobody_merged_becomes_no_canonical(place: Place) -> None:
    (place.engine.volume("warm-miniflux_warmci_localhost", "postgres") / "x").write_text("x")
    with pytest.raises(UsageError, match="only trusted code"):
        place.save("miniflux", ref="good")


def test_secrets_come_from_a_file_or_from_the_canonical_in_place(place: Place, tmp_path: Path) -> None:
    root = place.engine.volume("warm-miniflux_warmci_localhost", "postgres")
    (root / "data").write_text("x")
    with pytest.raises(UsageError, match="db_password_v1") as caught:
        place.save("miniflux", ref="0.1.0+2.2.8")
    assert "--secrets FILE" in str(caught.value.hint)
    path = tmp_path / "secrets.toml"
    path.write_text('db_password_v1 = "canary-1"\ndb_root_pass_v1 = "canary-2"\nadmin_password_v1 = "canary-3"\n')
    path.chmod(0o600)
    known = read_secrets(path)
    with pytest.raises(UsageError, match="has no secret wrong_v1"):
        place.save("miniflux", ref="0.1.0+2.2.8", secrets={**known, "wrong_v1": "x"})
    made = place.save("miniflux", ref="0.1.0+2.2.8", secrets=known)
    assert made is not None
    assert made.secrets == known
    again = place.save("miniflux", ref="0.1.1+2.2.8", secrets={"db_root_pass_v1": "canary-4"})
    assert again is not None
    assert again.secrets == {**known, "db_root_pass_v1": "canary-4"}
    assert all("canary" not in plan.model_dump_json() for plan in place.plans)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ('a = "canary"', 0o640, "open to others"),
        ("a = canary", 0o600, "not readable as TOML"),
        ("a = 5", 0o600, "a is not a text"),
        ('a = ""', 0o600, "a is not a text"),
    ],
)
def test_a_bad_secrets_file_is_never_quoted(tmp_path: Path, text: str, mode: int, said: str) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(UsageError, match=said) as caught:
        read_secrets(path)
    assert "canary" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    with pytest.raises(UsageError, match="No such file"):
        read_secrets(tmp_path / "none")


def _network(engine: FakeEngine, _: Path) -> None:
    engine.nets.append({"Name": f"{STACK}_default", "Labels": {NAMESPACE_LABEL: STACK}})


USERS: dict[str, Callable[[FakeEngine, Path], None]] = {
    "its service": lambda e, _: e.deployed.append(service(f"{STACK}_app", STACK)),
    "a stranger's service": lambda e, _: e.deployed.append(service("backup", source=f"{STACK}_content")),
    "a stopped container": lambda e, _: e.running.append(container("old", STACK, state="exited")),
    "a bind mount": lambda e, path: e.running.append(container("cp", source=str(path), state="created")),
    "a bind mount below": lambda e, path: e.running.append(container("cp", source=f"{path}/sub")),
    "its network": _network,
}


@pytest.mark.parametrize("user", USERS)
def test_what_is_in_use_is_not_saved(place: Place, content: Path, user: str) -> None:
    USERS[user](place.engine, content)
    with pytest.raises(InfraError, match=f"{STACK} is in use by (service|container|network) "):
        place.save(ref=FIRST)
    assert place.store.load("custom-html") is None
    assert place.litter() == []


ODD: dict[str, tuple[dict[str, Any], str]] = {
    "another driver": ({"Driver": "nfs"}, "not an ordinary one"),
    "a bind volume": ({"Options": {"o": "bind", "device": "/etc"}}, "not an ordinary one"),
    "elsewhere": ({"Mountpoint": "/etc"}, "lies at /etc"),
    "a run's own": ({"Labels": {"org.warmci.instance": "x"}}, "that of a WarmCI run"),
}


@pytest.mark.parametrize("case", ODD)
def test_only_ordinary_volumes_are_saved(place: Place, content: Path, case: str) -> None:
    values, said = ODD[case]
    place.engine.change(f"{STACK}_content", **values)
    with pytest.raises(InfraError, match=said):
        place.save(ref=FIRST)


def test_a_link_in_the_place_of_the_data_is_refused(place: Place, content: Path, tmp_path: Path) -> None:
    content.rename(tmp_path / "elsewhere")
    content.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InfraError, match="not a directory of this host"):
        place.save(ref=FIRST)


def test_another_stacks_volume_of_a_like_name_is_left_alone(place: Place, content: Path) -> None:
    place.engine.make_volume(f"{STACK}_content_b", {NAMESPACE_LABEL: f"{STACK}_content"})
    place.engine.make_volume(f"{STACK}_old", {NAMESPACE_LABEL: STACK})
    assert place.save(ref=FIRST) is not None
    assert place.plans[0].notes == (f"volume {STACK}_old is not of this version and is left out",)


def test_empty_or_emptied_is_a_loss_unless_it_is_meant(place: Place, content: Path) -> None:
    first = place.save(ref=FIRST)
    assert first is not None
    for number in range(19):
        (content / f"page{number}").unlink()
    with pytest.raises(UsageError, match="has 1 files") as caught:
        place.save()
    assert "--force" in str(caught.value.hint)
    (content / "page19").unlink()
    with pytest.raises(UsageError, match="has 0 files"):
        place.save()
    assert place.store.load("custom-html") == first
    assert place.litter() == []
    made = place.save(force=True)
    assert made is not None
    assert "has 0 files" in place.plans[-1].notes[0]


def test_an_empty_first_save_is_refused(place: Place) -> None:
    place.engine.volume(STACK, "content")
    with pytest.raises(UsageError, match="hold no file") as caught:
        place.save(ref=FIRST)
    assert "--force" in str(caught.value.hint)
    assert place.litter() == []
    assert place.save(ref=FIRST, force=True) is not None


def test_a_writer_nobody_knows_of_is_noticed(place: Place, content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = place.save(ref=FIRST)

    def write(_: object) -> None:
        (content / "page0").write_text("pagE 0")

    monkeypatch.setattr(fs, "sync_file_system", write)
    with pytest.raises(InfraError, match="page0 changed while it was saved"):
        place.save()
    assert place.store.load("custom-html") == first
    assert place.litter() == []


def test_a_user_that_comes_during_the_copy_is_noticed(
    place: Place, content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def come(_: object) -> None:
        place.engine.running.append(container("late", STACK, state="running"))

    monkeypatch.setattr(fs, "sync_file_system", come)
    with pytest.raises(InfraError, match="container late"):
        place.save(ref=FIRST)
    assert place.store.load("custom-html") is None
    assert place.litter() == []


def test_no_room_is_told_before_the_copy(place: Place, content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_RESERVE_BYTES", 2**60)
    monkeypatch.setattr(copying, "copying", None)
    with pytest.raises(InfraError, match="no space"):
        place.save(ref=FIRST)
    assert place.litter() == []


def test_a_recipe_at_work_is_waited_for(place: Place, content: Path) -> None:
    with (
        app_lock(place.settings.state_dir, "custom-html", Holder.here("r", "custom-html", "test"), wait_s=0),
        pytest.raises(BusyError),
    ):
        place.save(ref=FIRST)


def test_an_unreadable_canonical_is_not_saved_over(place: Place, content: Path) -> None:
    assert place.save(ref=FIRST) is not None
    path = place.settings.state_dir / "custom-html" / "canonical.json"
    path.write_text("{")
    with pytest.raises(InfraError, match=r"canonical\.json") as caught:
        place.save(ref=FIRST)
    assert caught.value.hint == "warmci canonical fsck custom-html"
    assert path.read_text() == "{"


@pytest.mark.integration
@pytest.mark.parametrize("flag", ["i", "a"])
def test_flags_that_a_copy_would_lose_are_refused(place: Place, content: Path, flag: str) -> None:
    process.run(["chattr", f"+{flag}", str(content / "page3")], timeout_s=10)
    try:
        with pytest.raises(InfraError, match="page3 is immutable or append-only") as caught:
            place.save(ref=FIRST)
        assert "chattr -R -i -a" in str(caught.value.hint)
    finally:
        process.run(["chattr", f"-{flag}", str(content / "page3")], timeout_s=10)
    assert place.litter() == []


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_a_mount_in_the_volume_is_refused(place: Place, content: Path, tmp_path: Path, kind: str) -> None:
    """A bind mount of the same file system is on the same device, yet not part of the volume."""
    (content / "mnt").mkdir()
    (tmp_path / "other").mkdir()
    source = ["--bind", str(tmp_path / "other")] if kind == "bind" else ["-t", "tmpfs", "none"]
    process.run(["mount", *source, str(content / "mnt")], timeout_s=10)
    try:
        with pytest.raises(InfraError, match=r"in use|another file system"):
            place.save(ref=FIRST)
    finally:
        process.run(["umount", str(content / "mnt")], timeout_s=10)
    assert place.litter() == []


@pytest.mark.parametrize("case", [case for case in HOSTILE if case != "deep"])
def test_hostile_trees_are_saved_as_they_are(place: Place, content: Path, case: str) -> None:
    HOSTILE[case](content)
    expected = tree.walk(content, read_data=True)
    made = place.save(ref=FIRST)
    assert made is not None
    saved = snapshot.snapshot_dir(place.settings.state_dir, "custom-html", made.snapshot)
    assert tree.walk(saved / "volumes" / "content", read_data=True) == expected
    assert (saved / snapshot.COPY_ONLY).exists() == (case in {"whiteout", "opaque"})


def test_the_lock_outlives_us_as_long_as_cp_does(place: Place, content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[tuple[int, ...]] = []
    real = process.start

    def start(argv: list[str], **more: object) -> object:
        if argv[0] == "cp":
            passed.append(tuple(more["pass_fds"]))  # type: ignore[arg-type]
        return real(argv, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(process, "start", start)
    assert place.save(ref=FIRST) is not None
    assert [len(fds) for fds in passed] == [1]


@pytest.mark.parametrize(
    "domain", ["warm-keycloak.warmci.localhost", "warm-miniflux.warmci.localhost", "Up.example", "a/b", "..", "-x"]
)
def test_a_domain_that_is_anothers_or_none_is_refused(place: Place, content: Path, domain: str) -> None:
    (place.settings.state_dir / "miniflux").mkdir()
    with pytest.raises(UsageError, match=r"is the domain of|not a domain name"):
        place.save(ref=FIRST, domain=domain)
    assert place.litter() == []


def test_a_lost_manifest_does_not_keep_from_saving(place: Place, content: Path) -> None:
    first = place.save(ref=FIRST)
    assert first is not None
    home = snapshot.snapshot_dir(place.settings.state_dir, "custom-html", first.snapshot)
    (home / "manifest.json").unlink()
    snapshot.stage(place.settings.state_dir, "custom-html", new_id(), run=new_id())
    again = place.save()
    assert again is not None
    assert "cannot be compared" in place.plans[-1].notes[0]


def test_an_interrupt_at_the_commit_says_what_is_committed(
    place: Place, content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = CanonicalStore._write_entry

    def interrupted(store: CanonicalStore, entry: Canonical) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        real(store, entry)

    monkeypatch.setattr(CanonicalStore, "_write_entry", interrupted)
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, interrupts._received)
    try:
        with pytest.raises(InterruptedRunError, match="is the canonical of custom-html now"):
            place.save(ref=FIRST)
    finally:
        signal.signal(signal.SIGINT, before)
    found = place.store.load("custom-html")
    assert found is not None
    assert place.store.damage(found, read_data=True) == []
    assert place.litter() == []
