"""Any order of save, change, restore, remove, repair, failed and killed commands: nothing is lost, nothing is mixed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trees import canonical_of
from trees import save as born
from warmci import attach, canonical, fs, fsck, restore, save, scan, snapshot
from warmci.canonical import CanonicalStore
from warmci.errors import InfraError
from warmci.manifest import load_manifest
from warmci.names import new_id
from warmci.state import open_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.models import Canonical

VOLUMES = ("db", "files")
CONTENTS = st.dictionaries(st.sampled_from("abcd"), st.text("xyz", min_size=1, max_size=3), min_size=1, max_size=3)


class _KilledError(BaseException):
    pass


class Registry(RuleBasedStateMachine):
    """The model is two dictionaries: what the live volumes hold, and what the canonical holds."""

    @initialize()
    def start(self) -> None:
        self.mask = os.umask(0o077)
        self.directory = tempfile.TemporaryDirectory()
        home = Path(self.directory.name)
        self.store = CanonicalStore(open_state(home / "state").dir)
        self.paths = {name: home / "docker" / f"stack_{name}" / "_data" for name in VOLUMES}
        for path in self.paths.values():
            path.mkdir(parents=True)
        self.live: dict[str, dict[str, str]] = {name: {} for name in VOLUMES}
        self.canonical: dict[str, dict[str, str]] | None = None
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(fs, "sync_file_system", lambda _: None)  # power stays on here
        self.change("db", {"a": "x"})
        self.save()

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.patch.undo()
            self.directory.cleanup()
            os.umask(self.mask)

    # --- rules

    @rule(volume=st.sampled_from(VOLUMES), content=CONTENTS)
    def change(self, volume: str, content: dict[str, str]) -> None:
        for path in self.paths[volume].iterdir():
            path.unlink()
        for name, text in content.items():
            (self.paths[volume] / name).write_text(text)
        self.live[volume] = content

    @rule()
    def save(self) -> None:
        if self._save():
            self.canonical = {name: dict(content) for name, content in self.live.items()}

    def _save(self) -> bool:
        self._settle()
        self.store.collect_garbage("demo")
        before = {name: scan.marks(path) for name, path in self.paths.items()}
        entry = self._entry()
        try:
            _, warnings = save.save_volumes(self.store, entry, self.paths, before, lambda: None)
        except InfraError:
            if any(self.live.values()):
                raise
            return False
        assert warnings == []
        return True

    def _entry(self) -> Canonical:
        value = canonical_of(load_manifest(Path(__file__).parent / "data" / "manifest-1.json"))
        return value.model_copy(update={"run": new_id()})

    @precondition(lambda self: self.canonical is not None)
    @rule()
    def restore(self) -> None:
        self._settle()
        restore.restore_volumes(self.store.dir, self._current(), self.paths, stack="stack")
        assert self.canonical is not None
        self.live = {name: dict(content) for name, content in self.canonical.items()}

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
            for name in ("a", "b"):
                (path / name).unlink(missing_ok=True)
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
        if any(self.live.values()) and not self._survives(at, self._save):
            after = self.store.load("demo")
            if after != before:
                self.canonical = {name: dict(content) for name, content in self.live.items()}
        elif any(self.live.values()):
            self.canonical = {name: dict(content) for name, content in self.live.items()}

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

    def _settle(self) -> None:
        restore.settle(self.store.dir, "demo")
        self._look_at_live()

    def _look_at_live(self) -> None:
        """After a restore was settled the volumes are all old or all new."""
        seen = {name: _read(path) for name, path in self.paths.items()}
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
            assert {name: _read(home / name) for name in VOLUMES} == self.canonical


def _read(path: Path) -> dict[str, str]:
    return {entry.name: entry.read_text() for entry in path.iterdir()}


Registry.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
test_registry = Registry.TestCase
