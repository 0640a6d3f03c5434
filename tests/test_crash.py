"""Kills and disk errors at every step of replacing a canonical: it is the old one or the new one, complete.

Power cuts are covered by the order of syncs and renames only, not by cutting power.

A forked child waits until strace(1) is attached and then does the work, so one case costs one fork and no imports.
`when=N` counts per system call name and per process; each case asserts that its injection took place.
"""

from __future__ import annotations

import collections
import json
import os
import re
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from trees import canonical_of, save
from warmci import snapshot
from warmci.canonical import CanonicalStore
from warmci.errors import WarmciError
from warmci.names import new_id
from warmci.state import open_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from warmci.models import Canonical

pytestmark = pytest.mark.integration

MUTATING = (
    "mkdir",
    "mkdirat",
    "openat",
    "write",
    "rename",
    "renameat",
    "renameat2",
    "fsync",
    "fdatasync",
    "syncfs",
    "unlink",
    "unlinkat",
    "rmdir",
    "chmod",
    "fchmodat",
    "ftruncate",
    "vfork",
    "clone",
    "clone3",
    "execve",
)
FAILING = ("mkdir", "write", "rename", "fsync", "syncfs", "unlinkat")
TIMEOUT_S = 30


def replace(state: Path) -> None:
    """What a promotion does: stage, finish, commit, and the removal of the snapshot before."""
    manifest = save(state, content="new")
    CanonicalStore(state).commit(canonical_of(manifest))


def collect(state: Path) -> None:
    CanonicalStore(state).collect_garbage("demo")


def littered(state: Path) -> None:
    """As kills leave it: an old and a new snapshot, half a staging, trash."""
    save(state, content="orphan")
    staging = snapshot.stage(state, "demo", new_id())
    (snapshot.make_volume(staging, "db") / "half").write_text("half")
    trash = state / "demo" / "trash"
    trash.mkdir(exist_ok=True)
    (trash / new_id()).mkdir()


@pytest.fixture
def template(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose canonical is the old one."""
    before = os.umask(0o077)
    state = open_state(tmp_path / "template").dir
    CanonicalStore(state).commit(canonical_of(save(state, content="old")))
    yield state
    os.umask(before)


class Outcome:
    def __init__(self, status: int, trace: str) -> None:
        self.killed = os.WIFSIGNALED(status)
        self.succeeded = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
        self.trace = trace
        self.injected = "(INJECTED)" in trace or "+++ killed by SIGKILL +++" in trace


def traced(work: Callable[[Path], None], state: Path, *options: str) -> Outcome:
    """Run work(state) in a child under strace with these options."""
    log = state.with_name(f"{state.name}.strace")
    go_read, go_write = os.pipe()
    child = os.fork()
    if not child:
        _child(work, state, go_read, go_write)
    os.close(go_read)
    strace = subprocess.Popen(
        ["strace", "-f", "-y", "-s", "0", "-o", str(log), *options, "-p", str(child)],
        stderr=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(TIMEOUT_S, os.kill, (child, 9))
    guard.start()
    try:
        assert strace.stderr
        assert "attached" in strace.stderr.readline()
        os.write(go_write, b"!")
        os.close(go_write)
        _, status = os.waitpid(child, 0)
        strace.communicate(timeout=TIMEOUT_S)
    finally:
        in_time = guard.is_alive()
        guard.cancel()
    assert in_time, "our own guard killed it, not the injection"
    return Outcome(status, log.read_text(encoding="utf-8", errors="replace"))


def _child(work: Callable[[Path], None], state: Path, go_read: int, go_write: int) -> None:
    code = 3
    try:
        os.close(go_write)
        os.read(go_read, 1)
        work(state)
        code = 0
    except (WarmciError, OSError):
        code = 2
    finally:
        os._exit(code)


def points(work: Callable[[Path], None], state: Path, names: tuple[str, ...] = MUTATING) -> list[tuple[str, int]]:
    """Every (system call, n) of one undisturbed run, the most that any one of its processes makes."""
    outcome = traced(work, state, "-e", f"trace={','.join(names)}")
    assert outcome.succeeded, outcome.trace[-2000:]
    counts = collections.Counter(re.findall(r"^(\d+) +(\w+)\(", outcome.trace, re.MULTILINE))
    most: dict[str, int] = {}
    for (_, name), count in counts.items():
        most[name] = max(most.get(name, 0), count)
    return [(name, number) for name, count in sorted(most.items()) for number in range(1, count + 1)]


def complaints(state: Path) -> list[str]:
    """What is wrong with the canonical; it must be whole, and the old or the new one."""
    try:
        found = CanonicalStore(state).load("demo")
        if found is None:
            return ["there is no canonical"]
        wrong = snapshot.verify(state, "demo", found.snapshot)
        path = snapshot.snapshot_dir(state, "demo", found.snapshot)
        contents = {(path / "volumes" / name / "content").read_text() for name in ("db", "files")}
    except (WarmciError, OSError) as error:
        return [str(error)]
    return wrong if contents in ({"old"}, {"new"}) else [*wrong, f"mixed: {contents}"]


def recovered(state: Path) -> list[str]:
    """What is wrong after the next command has cleaned up and replaced the canonical without a disturbance."""
    store = CanonicalStore(state)
    wrong = store.collect_garbage("demo")
    wrong += store.commit(canonical_of(save(state, content="new")))
    wrong += complaints(state)
    found = store.load("demo")
    assert found
    residue = {path.name for path in (state / "demo").rglob("*")} & {"half", "run"}
    residue |= {path.name for part in ("staging", "trash") for path in (state / "demo" / part).iterdir()}
    residue |= {path.name for path in (state / "demo" / "snapshots").iterdir()} - {found.snapshot}
    residue |= {path.name for path in (state / "demo").iterdir()} - {"canonical.json", "snapshots", "staging", "trash"}
    return wrong + [f"residue: {name}" for name in sorted(residue)]


def fresh(template: Path, name: str) -> Path:
    return shutil.copytree(template, template.with_name(name), symlinks=True, copy_function=_copy_exactly)


def _copy_exactly(source: str, target: str) -> str:
    shutil.copy2(source, target)
    return target


def kill_everywhere(work: Callable[[Path], None], template: Path, names: tuple[str, ...] = MUTATING) -> list[str]:
    """Kill at every point; returns what went wrong, "call:n: what"."""
    wrong = []
    places = points(work, fresh(template, "count"), names)
    beyond = {name: 0 for name, _ in places}
    for name, number in places:
        state = fresh(template, f"{name}-{number}")
        outcome = traced(work, state, "-e", f"trace={name}", "-e", f"inject={name}:signal=SIGKILL:when={number}")
        assert outcome.injected, f"{name}:{number} was not injected"
        found = complaints(state)
        wrong += [f"{name}:{number}: {line}" for line in found or recovered(state)]
        beyond[name] = max(beyond[name], number)
        shutil.rmtree(state)
    for name, number in beyond.items():
        state = fresh(template, f"{name}-beyond")
        outcome = traced(work, state, "-e", f"trace={name}", "-e", f"inject={name}:signal=SIGKILL:when={number + 1}")
        assert not outcome.injected, f"{name} has more points than were counted"
        assert outcome.succeeded
    return wrong


def test_killed_anywhere_in_a_replacement(template: Path) -> None:
    assert kill_everywhere(replace, template) == []


def test_killed_anywhere_in_the_clean_up_after_a_kill(template: Path) -> None:
    littered(template)
    assert kill_everywhere(collect, template) == []


@pytest.mark.parametrize("code", ["ENOSPC", "EIO"])
def test_a_disk_that_fails_anywhere(template: Path, code: str) -> None:
    """Success means the new one, failure the old one."""
    for name, number in points(replace, fresh(template, "count"), FAILING):
        state = fresh(template, f"{name}-{number}")
        outcome = traced(replace, state, "-e", f"trace={name}", "-e", f"inject={name}:error={code}:when={number}")
        where = f"{name}:{number}: {code}"
        assert outcome.injected, where
        assert not outcome.killed, where
        assert complaints(state) == [], where
        found = CanonicalStore(state).load("demo")
        assert found
        content = snapshot.snapshot_dir(state, "demo", found.snapshot) / "volumes" / "db" / "content"
        after_commit = name == "fsync" and content.read_text() == "new"  # renamed, not known to be durable: a failure
        assert outcome.succeeded == (content.read_text() == "new") or after_commit, where
        assert recovered(state) == [], where


def _deleted_first(store: CanonicalStore, canonical: Canonical) -> list[str]:
    """A wrong commit: makes room before it commits."""
    found = store.load("demo")
    assert found
    snapshot.discard(store.dir, "demo", found.snapshot)
    store._write(canonical)
    return []


def _two_steps(path: Path, value: object) -> None:
    """A wrong replacement: the old file is gone before the new one is there."""
    new = path.with_name("new.json")
    new.write_text(json.dumps(value), encoding="utf-8")
    path.unlink(missing_ok=True)
    new.rename(path)


@pytest.mark.parametrize("wrong", ["deleted first", "two steps"])
def test_this_suite_would_notice(template: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    if wrong == "deleted first":
        monkeypatch.setattr(CanonicalStore, "commit", _deleted_first)
    else:
        monkeypatch.setattr("warmci.canonical.write_json", _two_steps)
    assert kill_everywhere(replace, template, ("rename",)) != []


def test_nothing_is_named_before_it_is_durable(template: Path) -> None:
    """Kills cannot see a missing sync, and ext4 hides a missing sync of a directory: the order itself is checked."""
    state = fresh(template, "order")
    old = CanonicalStore(state).load("demo")
    assert old
    outcome = traced(replace, state, "-s", "300", "-e", "trace=rename,fsync,syncfs")
    new = CanonicalStore(state).load("demo")
    assert new
    events = []
    for line in outcome.trace.splitlines():
        if match := re.search(r'rename\("([^"]*)", "([^"]*)"\) += 0', line):
            events.append(f"rename {match[2]}")
        elif match := re.search(r"(fsync|syncfs)\(\d+<([^>]*)>\) += 0", line):
            events.append(f"{match[1]} {match[2]}")
    short = [
        re.sub(r"\.\d+\.tmp", ".tmp", event.replace(f"{state}/demo", "").replace(str(state), ".")) for event in events
    ]
    new_id_, old_id = new.snapshot, old.snapshot
    assert short == [
        f"rename /staging/{new_id_}",
        f"syncfs /staging/{new_id_}",
        f"fsync /staging/{new_id_}/.manifest.json.tmp",
        f"rename /staging/{new_id_}/manifest.json",
        f"fsync /staging/{new_id_}",
        f"rename /snapshots/{new_id_}",
        "fsync /snapshots",
        "fsync /staging",
        f"fsync /snapshots/{new_id_}/.canonical.json.tmp",
        f"rename /snapshots/{new_id_}/canonical.json",
        f"fsync /snapshots/{new_id_}",
        "fsync /.canonical.json.tmp",
        "rename /canonical.json",
        "fsync ",
        f"rename /trash/{old_id}",
        "fsync /trash",
        "fsync /snapshots",
    ]
