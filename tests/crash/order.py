"""Order of syncs and renames, read from an undisturbed trace: what kills cannot see, and ext4 and xfs often forgive.

Before something gets its name, its data and directories are synced; after that, so are both parents, before anything
else is named or deleted and before the work says that it is done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from campaigns import Result
from tracing import MUTATING, traced

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios import Scenario

_NAMES = {"canonical.json", "manifest.json", "restore.json"}
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)\) += (\d+)(?:<(.*)>)?")
_UNFINISHED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_PLACE = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_DESCRIPTOR = re.compile(r"\d+<([^>]*)>")
_OPENING = {"open", "openat", "creat"}
_MAKING = {"mkdir", "mkdirat", "mknod", "mknodat", "link", "linkat", "symlink", "symlinkat"}
_REMOVING = {"unlink", "unlinkat", "rmdir"}
_WRITING = {
    **dict.fromkeys(("write", "pwrite64", "writev", "pwritev", "ftruncate", "fallocate", "ioctl", "sendfile"), 0),
    "copy_file_range": 1,
}
"""And which of their descriptors is written to."""


@dataclass
class _Disk:
    """What a power cut now could lose."""

    data: set[str] = field(default_factory=set)
    """Files that were written to and not synced."""
    entries: dict[str, str] = field(default_factory=dict)
    """Files and directories whose name is not synced, with the directory that has to be."""
    pending: dict[str, str] = field(default_factory=dict)
    """Directories that must be synced before the next step, and for which rename."""
    wrong: list[str] = field(default_factory=list)
    named: int = 0

    def wrote(self, path: str) -> None:
        self.data.add(path)

    def opened(self, path: str, flags: str) -> None:
        if "O_CREAT" in flags:
            self.made(path)
        if "O_CREAT" in flags or "O_TRUNC" in flags:
            self.wrote(path)

    def made(self, path: str) -> None:
        self.entries[path] = str(PurePosixPath(path).parent)

    def synced(self, path: str, *, everything: bool) -> None:
        if everything:
            self.data.clear()
            self.entries.clear()
            self.pending.clear()
        self.data.discard(path)
        self.pending.pop(path, None)
        self.entries = {name: parent for name, parent in self.entries.items() if parent != path}

    def settled(self, before: str) -> None:
        for directory, rename in self.pending.items():
            self.wrong.append(f"{before}, but {directory} was not synced after {rename}")
        self.pending.clear()

    def exchanged(self, one: str, other: str) -> None:
        step = f"exchange of {one} and {other}"
        self.named += 1
        self.settled(step)
        self._require_synced(one, one, step)
        self._require_synced(other, other, step)
        self.pending.update(dict.fromkeys({str(PurePosixPath(path).parent) for path in (one, other)}, step))

    def renamed(self, source: str, target: str) -> None:
        step = f"rename to {target}"
        parents = {str(PurePosixPath(path).parent) for path in (source, target)}
        if _is_name(target):
            self.named += 1
            self.settled(step)
            self._require_synced(source, target, step)
        elif _is_trash(target):
            self.named += 1
            self.settled(step)
        self.data = {_moved(path, source, target) for path in self.data}
        self.entries = {_moved(name, source, target): _moved(up, source, target) for name, up in self.entries.items()}
        if _is_name(target) or _is_trash(target):
            self.entries.pop(target, None)
            self.pending.update(dict.fromkeys(parents, step))
        else:
            self.made(target)

    def _require_synced(self, source: str, target: str, step: str) -> None:
        self.wrong += [f"{step}, but {path} has unsynced data" for path in sorted(self.data) if _within(path, source)]
        above = {str(path) for path in PurePosixPath(target).parents}
        for name in sorted(self.entries):
            inside = _within(name, source) and name != source
            if inside or name in above:
                self.wrong.append(f"{step}, but the name of {name} is not synced")

    def removed(self, path: str) -> None:
        self.settled(f"removal of {path}")
        self.data.discard(path)
        self.entries.pop(path, None)
        if _is_name(path) and not _is_trash(path):
            self.named += 1
            self.pending[str(PurePosixPath(path).parent)] = f"removal of {path}"


def lint(scenario: Scenario, room: Path) -> Result:
    """What is out of order in one run of the work; its points are the names that it gives, swaps and takes."""
    world = room / "world"
    scenario.ready(world)
    outcome = traced(scenario.work, world, 0, "-e", f"trace={','.join(MUTATING)}", children=True)
    assert outcome.code == 0, outcome.crash or outcome.said
    disk = _Disk()
    for line in _joined(outcome.trace):
        if match := _CALL.match(line):
            _step(disk, match[2], match[3], match[5] or "", str(world))
    disk.settled("the end")
    assert disk.named, "nothing was named, so nothing was checked"
    return Result(exist=disk.named, cases=disk.named, wrong=[f"{scenario.name}: {line}" for line in disk.wrong])


def _joined(trace: str) -> list[str]:
    """Calls that were interrupted by another process's lines, made whole again."""
    lines, open_calls = [], {}
    for line in trace.splitlines():
        if match := _UNFINISHED.match(line):
            open_calls[match[1]] = line.removesuffix(" <unfinished ...>")
        elif match := _RESUMED.match(line):
            lines.append(open_calls.pop(match[1], "") + match[2])
        else:
            lines.append(line)
    return lines


def _step(disk: _Disk, call: str, arguments: str, opened: str, world: str) -> None:
    places = [str(PurePosixPath(base or "/", name)) for base, name in _PLACE.findall(arguments)]
    descriptors = _DESCRIPTOR.findall(arguments)
    if not any(path.startswith(world) for path in (*places, *descriptors, opened)):
        return
    if call in _OPENING:
        disk.opened(opened, arguments)
    elif call in _WRITING:
        disk.wrote(descriptors[_WRITING[call]])
    elif call in _MAKING:
        disk.made(places[-1])
    elif call in _REMOVING:
        disk.removed(places[0])
    elif call.startswith("rename"):
        (disk.exchanged if "RENAME_EXCHANGE" in arguments else disk.renamed)(places[0], places[1])
    elif "sync" in call:
        disk.synced(descriptors[0], everything=call in {"syncfs", "sync"})


def _is_name(path: str) -> bool:
    place = PurePosixPath(path)
    return place.name in _NAMES or place.parent.name == "snapshots" or place.name == "_data"


def _is_trash(path: str) -> bool:
    return "/trash/" in path or path.endswith(".trash")


def _within(path: str, tree: str) -> bool:
    return path == tree or path.startswith(f"{tree}/")


def _moved(path: str, source: str, target: str) -> str:
    return target + path.removeprefix(source) if _within(path, source) else path
