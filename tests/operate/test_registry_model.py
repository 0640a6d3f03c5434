"""Any order of save, change, restore, remove, repair, failed and killed commands: nothing is lost, nothing is mixed."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.trees import canonical_of
from support.trees import save as born
from warmci.base import fs
from warmci.base.errors import InfraError
from warmci.base.names import new_id
from warmci.base.state import open_state
from warmci.operate import fsck, save
from warmci.store import attach, canonical, restore, scan, snapshot, tree
from warmci.store.canonical import CanonicalStore
from warmci.store.manifest import load_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.base.models import Canonical
    from warmci.store.tree import Entry

VOLUMES = ("db", "files")
Tree: TypeAlias = "dict[str, tuple[list[Entry], dict[str, Facts]]]"
"""Volume to everything in it, as our own walk tells it and as the system does."""
_LATEST_NS = 2**31 * 10**9


class Facts(NamedTuple):
    mode: int
    owners: tuple[int, int]
    mtime_ns: int
    device: int
    names: int
    data: bytes
    note: dict[str, bytes]
    has_holes: bool


def facts_of(path: Path) -> Facts:
    found, data = path.lstat(), b""
    if stat.S_ISREG(found.st_mode):
        data = path.read_bytes()
    elif path.is_symlink():
        data = os.fsencode(path.readlink())
    is_directory = stat.S_ISDIR(found.st_mode)
    return Facts(
        found.st_mode,
        (found.st_uid, found.st_gid),
        found.st_mtime_ns,
        found.st_rdev,
        1 if is_directory else found.st_nlink,
        data,
        {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)},
        not is_directory and found.st_blocks * 512 < found.st_size,
    )


def look(root: Path) -> tuple[list[Entry], dict[str, Facts]]:
    below = {str(path.relative_to(root)): facts_of(path) for path in (root, *root.rglob("*"))}
    return tree.walk(root, read_data=True), below


class Planted(NamedTuple):
    kind: str
    mode: int
    owner: int
    mtime_ns: int
    text: str

    def plant(self, path: Path) -> None:
        files = [other for other in path.parent.iterdir() if other.is_file() and not other.is_symlink()]
        match self.kind:
            case "link":
                path.symlink_to(self.text)
            case "hard link" if files:
                path.hardlink_to(files[0])
            case "fifo":
                os.mkfifo(path)
            case "device":
                os.mknod(path, stat.S_IFCHR, os.makedev(1, 3))
            case "directory":
                path.mkdir()
                (path / "inside").write_text(self.text)
            case _:
                with path.open("w") as file:
                    file.truncate(2**20 if self.kind == "holes" else 0)
                    file.write(self.text)
                os.setxattr(path, "user.note", self.text.encode())
        os.chown(path, self.owner, self.owner, follow_symlinks=False)
        if self.kind != "link":
            path.chmod(self.mode)  # after the owner, whose change takes setuid away
        os.utime(path, ns=(self.mtime_ns, self.mtime_ns), follow_symlinks=False)


OBJECTS = st.builds(
    Planted,
    kind=st.sampled_from(["file", "holes", "link", "hard link", "fifo", "device", "directory"]),
    mode=st.integers(0, 0o7777),
    owner=st.integers(0, 70_000),
    mtime_ns=st.integers(0, _LATEST_NS),
    text=st.text("xyz", min_size=1, max_size=3),
)
CONTENTS = st.dictionaries(st.sampled_from(["a", "b c", "ü", "\udcff", "-n"]), OBJECTS, min_size=1, max_size=4)


class _KilledError(BaseException):
    pass


class Registry(RuleBasedStateMachine):
    """The model is two trees: what the live volumes hold, and what the canonical holds."""

    @initialize()
    def start(self) -> None:
        self.mask = os.umask(0o077)
        self.directory = tempfile.TemporaryDirectory()
        home = Path(self.directory.name)
        self.store = CanonicalStore(open_state(home / "state").dir)
        self.paths = {name: home / "docker" / f"stack_{name}" / "_data" for name in VOLUMES}
        for path in self.paths.values():
            path.mkdir(parents=True)
        self.live: Tree = self._seen()
        self.canonical: Tree | None = None
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(fs, "sync_file_system", lambda _: None)  # power stays on here
        self.change("db", {"a": Planted("file", 0o640, 0, 1, "x")}, 0o755)
        self.save()

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.patch.undo()
            self.directory.cleanup()
            os.umask(self.mask)

    # --- rules

    @rule(volume=st.sampled_from(VOLUMES), content=CONTENTS, mode=st.integers(0, 0o7777))
    def change(self, volume: str, content: dict[str, Planted], mode: int) -> None:
        """By the app, which nobody starts before an interrupted restore is settled."""
        self._settle()
        root = self.paths[volume]
        for path in root.iterdir():
            snapshot.remove(path)
        for name, planted in content.items():
            planted.plant(root / name)
        root.chmod(mode)
        self.live = self._seen()

    @rule()
    def save(self) -> None:
        if self._save():
            self.canonical = self.live

    def _save(self) -> bool:
        self._settle()
        self.store.collect_garbage("demo")
        before = {name: scan.marks(path) for name, path in self.paths.items()}
        entry = self._entry()
        try:
            _, warnings = save.save_volumes(self.store, entry, self.paths, before, lambda: None)
        except InfraError:
            if self._has_files():
                raise
            return False
        assert warnings == []
        return True

    def _entry(self) -> Canonical:
        value = canonical_of(load_manifest(Path(__file__).parents[1] / "data" / "manifest-1.json"))
        return value.model_copy(update={"run": new_id()})

    @precondition(lambda self: self.canonical is not None)
    @rule()
    def restore(self) -> None:
        self._settle()
        restore.restore_volumes(self.store.dir, self._current(), self.paths, stack="stack")
        assert self.canonical is not None
        self.live = self.canonical

    @rule()
    def remove(self) -> None:
        self._settle()
        assert self.store.remove("demo") == []
        self.canonical = None

    @rule()
    def fsck(self) -> None:
        done = fsck.repair_all(self.store, "demo", lambda: restore.settle(self.store.dir, "demo"))
        assert [problem for problem in done if not problem.is_over] == []
        assert fsck.examine(self.store, "demo", read_data=True) == []
        self._look_at_live()

    @rule(junk=st.binary(max_size=20))
    def canonical_json_rots(self, junk: bytes) -> None:
        if self.canonical is not None:
            path = self.store.dir / "demo" / "canonical.json"
            path.write_bytes(path.read_bytes()[:-40] + b"\0" + junk)
            self.fsck()

    @precondition(lambda self: self.canonical is not None)
    @rule(fails=st.booleans())
    def quick_run(self, *, fails: bool) -> None:
        """A run writes what it likes; what it ends with makes no difference."""
        self._settle()
        source = snapshot.snapshot_dir(self.store.dir, "demo", self._current().snapshot)
        work = self.store.dir / ".runs" / new_id()
        shown = attach.attach(source, work, VOLUMES)
        for path in shown.volumes.values():
            (path / "written by the run").write_text("x")
            for name in ("a", "-n"):
                snapshot.remove(path / name)
        if fails:
            (next(iter(shown.volumes.values())) / "half").mkdir()
        attach.detach(work)

    @rule()
    def killed_seed(self) -> None:
        self._settle()
        born(self.store.dir, content="never committed")

    @rule(at=st.integers(1, 5))
    def killed_save(self, at: int) -> None:
        """Both are complete after a kill: which one it is, only the file tells."""
        self._settle()
        before = self.store.load("demo")
        if self._has_files() and (self._survives(at, self._save) or self.store.load("demo") != before):
            self.canonical = self.live

    @precondition(lambda self: self.canonical is not None)
    @rule(at=st.integers(1, 8))
    def killed_restore(self, at: int) -> None:
        self._settle()
        self._survives(at, self.restore)

    def _survives(self, at: int, work: Callable[[], object]) -> bool:
        """Run work, killed before its at-th durable step; False when it was."""
        left = at

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def step(*args: object, **more: object) -> object:
                nonlocal left
                left -= 1
                if not left:
                    raise _KilledError
                return real(*args, **more)

            return step

        with pytest.MonkeyPatch.context() as patch:
            for module, names in ((fs, ("write_json", "rename_durable", "exchange")), (canonical, ("write_json",))):
                for name in names:
                    patch.setattr(module, name, counted(getattr(module, name)))
            try:
                work()
            except _KilledError:
                event(f"killed in {work.__name__}")
                return False
            return True

    # --- what must hold

    def _seen(self) -> Tree:
        return {name: look(path) for name, path in self.paths.items()}

    def _has_files(self) -> bool:
        return any(entry.type != "d" for entries, _ in self.live.values() for entry in entries)

    def _settle(self) -> None:
        restore.settle(self.store.dir, "demo")
        self._look_at_live()

    def _look_at_live(self) -> None:
        """After a restore was settled the volumes are all old or all new."""
        seen = self._seen()
        assert seen in (self.live, self.canonical)
        assert all([entry.name for entry in path.parent.iterdir()] == ["_data"] for path in self.paths.values())
        self.live = seen

    def _current(self) -> Canonical:
        found = self.store.load("demo")
        assert found is not None
        return found

    @invariant()
    def the_canonical_is_whole(self) -> None:
        if not hasattr(self, "store"):
            return
        found = self.store.load("demo")
        assert (found is None) == (self.canonical is None)
        if found is not None and self.canonical is not None:
            assert self.store.damage(found, read_data=True) == []
            home = snapshot.snapshot_dir(self.store.dir, "demo", found.snapshot) / "volumes"
            assert {name: look(home / name) for name in VOLUMES} == self.canonical


Registry.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
test_registry = Registry.TestCase
