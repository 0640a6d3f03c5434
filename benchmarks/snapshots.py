"""Save, restore, attach and roll back beside cp, rsync, tar, restic and borg; in turn, in one run, caches dropped.

Writes a section of docs/benchmarks.md for each file system. It never fails on a figure. Needs root, and room for three
times the data.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import page
from warmci.base.models import Canonical
from warmci.base.names import new_id
from warmci.base.state import open_state
from warmci.operate.save import save_volumes
from warmci.store import attach, restore, snapshot
from warmci.store.canonical import CanonicalStore
from warmci.store.scan import marks

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPE, VOLUME = "bench", "data"
_CLONE_NEWNS = 0x20000
_TAR = "--xattrs --xattrs-include='*' --acls --sparse --numeric-owner"
_ENV = {"RESTIC_PASSWORD": "bench", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}


@dataclass
class Figures:
    """Seconds of each round."""

    save: list[float] = field(default_factory=list)
    restore: list[float] = field(default_factory=list)
    seed: list[float] = field(default_factory=list)
    attach: list[float] = field(default_factory=list)
    roll_back: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Tool:
    name: str
    init: str
    save: str
    restore: str
    """Empty where it is the same command the other way round."""


TOOLS = (
    Tool("cp -a", "mkdir $TO", "cp -a --reflink=auto --sparse=always $FROM/. $TO", ""),
    Tool("rsync -aHAX", "mkdir $TO", "rsync -aHAX --numeric-ids $FROM/ $TO/", ""),
    Tool("tar pipe", "mkdir $TO", f"tar -C $FROM {_TAR} -cf - . | tar -C $TO {_TAR} -xpf -", ""),
    Tool(
        "restic",
        "restic -q -r $TO init",
        "cd $FROM && restic -q -r $TO backup .",
        "restic -q -r $TO restore latest --target $BACK",
    ),
    Tool(
        "borg",
        "borg init -e none $TO",
        "cd $FROM && borg create --numeric-ids $TO::one .",
        "mkdir $BACK && cd $BACK && borg extract --numeric-ids $TO::one",
    ),
)


def shell(command: str, **env: str | Path) -> None:
    values = {**os.environ, **_ENV, **{name: str(value) for name, value in env.items()}}
    done = subprocess.run(["/bin/sh", "-ec", command], env=values, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr.strip()[-500:]}")


def drop_caches() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def timed(work: Callable[[], object], *, cold: bool = True) -> float:
    drop_caches() if cold else os.sync()
    began = time.monotonic()
    work()
    return time.monotonic() - began


# --- the data


def big_files(root: Path) -> None:
    for number in range(4):
        with (root / f"file{number}").open("wb") as file:
            for _ in range(64):
                file.write(os.urandom(8 * 2**20))


def small_files(root: Path) -> None:
    block = os.urandom(2**20)
    for number in range(50_000):
        if not number % 250:
            (root / f"d{number // 250}").mkdir()
        size = 1000 + (number * 7919) % 15_600
        start = (number * 104_729) % (2**20 - size)
        (root / f"d{number // 250}" / f"f{number}").write_bytes(block[start : start + size])


def postgres(root: Path) -> None:
    """A cluster as its own user made it, with rows, stopped."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    shutil.chown(root, "nobody", "nogroup")
    root.chmod(0o700)
    with tempfile.TemporaryDirectory() as socket:
        shutil.chown(socket, "nobody", "nogroup")
        as_nobody = "setpriv --reuid nobody --regid nogroup --clear-groups env HOME=/nonexistent"
        options = shlex.quote(f"-k {socket} -c listen_addresses='' -c fsync=off")
        for command in (
            "initdb --no-sync -D $ROOT >/dev/null",
            f"pg_ctl -w -l {socket}/log -o {options} -D $ROOT start >/dev/null",
            f"pgbench -h {socket} -i -s 20 -q postgres >/dev/null",
            "pg_ctl -w -m fast -D $ROOT stop >/dev/null",
        ):
            shell(f"{as_nobody} {programs}/{command}", ROOT=root)


DATA: dict[str, Callable[[Path], None]] = {
    "4 files, 2 GB": big_files,
    "50,000 files, 440 MB": small_files,
    "PostgreSQL, pgbench -s 20": postgres,
}


# --- one round


def warmci(live: Path, work: Path, figures: Figures) -> None:
    state = open_state(work / "state").dir
    store = CanonicalStore(state)
    entry = Canonical.model_validate(
        {
            "recipe": RECIPE,
            "state": "good",
            "commit": "c" * 40,
            "version": "1.0.0+1",
            "images": {},
            "domain": "bench.example",
            "port": 20000,
            "snapshot": "",
            "manifest_sha256": "",
            "lineage": (),
            "secrets": {},
            "run": "",
            "created": datetime.now(UTC),
        }
    )
    sources = {VOLUME: live}

    def named() -> Canonical:
        run = new_id()
        return entry.model_copy(update={"snapshot": run, "run": run})

    def save() -> None:
        save_volumes(store, named(), sources, {VOLUME: marks(live)}, lambda: None)

    figures.save.append(timed(save))
    made = store.load(RECIPE)
    if made is None:
        raise SystemExit("the save left no canonical")
    _attached(snapshot.snapshot_dir(state, RECIPE, made.snapshot), work / "run", figures)
    figures.restore.append(timed(lambda: restore.restore_volumes(state, made, sources, stack="bench")))
    staging = snapshot.stage(state, RECIPE, new_id())
    shell("cp -a --reflink=auto $FROM $TO", FROM=live, TO=staging / "volumes" / VOLUME)

    os.sync()

    def seed() -> None:
        manifest = snapshot.finish(staging)
        store.commit(entry.model_copy(update={"snapshot": manifest.id, "manifest_sha256": manifest.sha256}))

    store.remove(RECIPE)  # the first one of its recipe: nothing to throw away
    figures.seed.append(timed(seed, cold=False))


def _attached(home: Path, run: Path, figures: Figures) -> None:
    figures.attach.append(timed(lambda: attach.attach(home, run, [VOLUME])))
    for number in range(100):
        (run / "m" / VOLUME / f"written-{number}").write_bytes(b"x" * 10_000)
    figures.roll_back.append(timed(lambda: attach.detach(run), cold=False))


def other(tool: Tool, live: Path, work: Path, figures: Figures) -> None:
    places = {"FROM": live, "TO": work / "to", "BACK": work / "back"}
    env = {**places, "BORG_BASE_DIR": work / "borg", "RESTIC_CACHE_DIR": work / "restic"}
    shell(tool.init, **env)
    figures.save.append(timed(lambda: shell(f"{tool.save} && sync -f $TO", **env)))
    if tool.restore:
        figures.restore.append(timed(lambda: shell(f"{tool.restore} && sync -f $BACK", **env)))


def measure(live: Path, work: Path, rounds: int, label: str) -> dict[str, Figures]:
    found = {name: Figures() for name in ("WarmCI", *(tool.name for tool in TOOLS))}
    names = list(found)
    for number in range(rounds):
        for name in names[-number % len(names) :] + names[: -number % len(names)]:  # nobody is always the first
            figures = found[name]
            work.mkdir(mode=0o700)
            if name == "WarmCI":
                warmci(live, work, figures)
            else:
                other(next(tool for tool in TOOLS if tool.name == name), live, work, figures)
            shutil.rmtree(work)
            back = f", restored {figures.restore[-1]:.2f} s" if figures.restore else ""
            print(f"{label}, round {number + 1}: {name} saved {figures.save[-1]:.2f} s{back}", file=sys.stderr)
    return found


# --- file systems


def on_file_system(system: str, home: Path, rounds: int, chosen: list[str]) -> list[str]:
    """One table per set of data; on the disk's own file system where it is of this kind, else on a loop mount."""
    mount = home / system
    mount.mkdir(mode=0o711)
    lines = []
    with ExitStack() as held:
        here = subprocess.run(["stat", "-f", "-c", "%T", str(home)], capture_output=True, text=True, check=True).stdout
        if here.strip() != {"ext4": "ext2/ext3"}.get(system, system):  # what stat(1) calls ext4
            image = home / f"{system}.img"
            held.callback(image.unlink)
            shell(f"truncate -s 16G $IMAGE && mkfs.{system} -q $IMAGE", IMAGE=image)
            shell("mount -o loop $IMAGE $MOUNT && chmod 711 $MOUNT", IMAGE=image, MOUNT=mount)
            held.callback(shell, "umount $MOUNT", MOUNT=mount)
        for name in chosen:
            live = mount / "volume" / "_data"
            live.mkdir(parents=True)
            live.parent.chmod(0o711)  # a database's own user has to get there
            DATA[name](live)
            found = measure(live, mount / "work", rounds, f"{system}, {name}")
            lines += table(f"{system}: {name}", found)
            shutil.rmtree(live.parent)
    return lines


def table(title: str, found: dict[str, Figures]) -> list[str]:
    base = found["cp -a"].save
    lines = [f"### {title}", "", "| seconds | save | x cp | restore | x cp |", "| --- | --- | --- | --- | --- |"]
    for name, figures in found.items():
        back = figures.restore or figures.save
        same = "" if figures.restore else " (the same command)"
        lines.append(
            f"| {name} | {_range(figures.save)} | {_ratio(figures.save, base)} | {_range(back)}{same}"
            f" | {_ratio(back, base)} |"
        )
    ours = found["WarmCI"]
    lines += [
        "",
        f"WarmCI: attach {_range(ours.attach, 3)} s, roll back {_range(ours.roll_back, 3)} s, "
        f"seed by rename {_range(ours.seed)} s.",
        "",
    ]
    return lines


def _range(figures: list[float], digits: int = 2) -> str:
    middle = f"{statistics.median(figures):.{digits}f}"
    return middle if len(figures) == 1 else f"{middle} ({min(figures):.{digits}f}-{max(figures):.{digits}f})"


def _ratio(figures: list[float], base: list[float]) -> str:
    return f"{statistics.median(a / b for a, b in zip(figures, base, strict=True)):.2f}"


def _version(command: str) -> str:
    said = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return re.sub(r" +", " ", re.sub(r" compiled with.*|protocol version.*| \(Debian.*|version ", "", said)).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--home", type=Path, default=Path("/var/tmp"), help="a directory with 16 GB of room")  # noqa: S108
    parser.add_argument("--systems", nargs="+", default=["ext4", "xfs", "btrfs"])
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--print", action="store_true", help="leave docs/benchmarks.md as it is")
    options = parser.parse_args()
    if ctypes.CDLL(None).unshare(_CLONE_NEWNS):  # our mounts go with us, however we end
        raise SystemExit("mounts need root")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was made is removed
    shell("mount --make-rprivate /")
    with tempfile.TemporaryDirectory(dir=options.home) as home:
        Path(home).chmod(0o711)
        for system in options.systems:
            load = os.getloadavg()[0]
            lines = on_file_system(system, Path(home), options.rounds, options.data)
            text = "\n".join([_head(options.rounds, load), "", *lines])
            if options.print:
                print(text)
            else:
                page.write_section(f"Snapshots beside other tools: {system}", text)


def _head(rounds: int, load: float) -> str:
    programs = ("cp", "rsync", "tar", "restic", "borg", "/usr/lib/postgresql/*/bin/postgres")
    tools = [_version(f"{name} {'version' if name == 'restic' else '--version'}") for name in programs]
    return (
        f"{datetime.now(UTC):%F}, Linux {platform.release()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}; {', '.join(tools)}.\n\n"
        f"{rounds} round{'s' * (rounds > 1)}, the tools in turn in each; median (min-max), and the median of the ratios"
        " within a round. xfs and btrfs are loop mounts on the disk that has the ext4. Caches are dropped before each"
        " save, restore and attach; the sync is in a tool's time."
        f" The load was {load:.1f} before the start and {os.getloadavg()[0]:.1f} at the end; with this benchmark alone"
        " it is about 2.\n\n"
        "A save by WarmCI holds hashes of every byte and is proved against them; its restore reads the snapshot, proves"
        " every byte of it and of the copy (of the copy alone on xfs and btrfs, which has the snapshot's blocks there),"
        " and throws away what was there before, which the others leave to somebody else. Roll back is after a run that"
        " wrote 100 files. A seed finds its data as a cold run leaves it: written a"
        " moment ago, in the page cache."
    )


if __name__ == "__main__":
    main()
