"""What data costs a quick run, for few and for many files, for small and for large ones; beside a walk through it.

Before, attach, roll back, after: all that a quick run does with its snapshot. It never fails on a figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from page import write_section
from warmci.base import names
from warmci.base.models import Canonical
from warmci.store import attach, outline, snapshot
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RECIPE = "many"
PER_DIRECTORY = 1000
LARGE, ROUNDS = 4, 3
BEFORE = "What a quick run asks of a snapshot of many files"


@dataclass(frozen=True)
class Size:
    files: int
    gigabytes: float = 0.0

    def fill(self, volume: Path) -> None:
        """Files of one byte, a thousand in a directory; or few large ones, sparse."""
        for number in range(self.files):
            directory = volume / str(number // PER_DIRECTORY)
            directory.mkdir(exist_ok=True)
            with (directory / str(number)).open("wb") as file:
                file.write(b"x")
                if self.gigabytes:
                    file.truncate(int(self.gigabytes * 2**30 / self.files))

    def __str__(self) -> str:
        return f"{self.files:,} files" + (f", {self.gigabytes:g} GB" if self.gigabytes else "")


def made(state_dir: Path, size: Size) -> Canonical:
    staging = snapshot.stage(state_dir, RECIPE, names.new_id())
    size.fill(snapshot.make_volume(staging, "data"))
    manifest = snapshot.finish(staging)
    return Canonical.model_validate(
        {
            "recipe": RECIPE,
            "state": "good",
            "commit": "0" * 40,
            "version": "1.0.0+1",
            "images": {},
            "domain": "warm-many.example",
            "port": 20000,
            "snapshot": manifest.id,
            "lineage": (),
            "secrets": {},
            "manifest_sha256": manifest.sha256,
            "run": manifest.id,
            "created": manifest.created,
        }
    )


@dataclass(frozen=True)
class Spent:
    seconds: float
    processor_s: float


def spent(work: Callable[[], object]) -> Spent:
    """Seconds, and those of processors, the programs' that it ran too."""
    began, used = time.monotonic(), _used_s()
    work()
    return Spent(time.monotonic() - began, _used_s() - used)


def _used_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)


def require_whole(damage: Sequence[str]) -> None:
    if damage:
        raise SystemExit(f"the snapshot is damaged: {damage[0]}")


def before(store: CanonicalStore, canonical: Canonical, target: Path) -> None:
    """As run/pipeline.py and run/quick.py: is it whole, and on with it."""
    require_whole(store.damage(canonical))
    known = outline.outline(store.dir, canonical)
    source = snapshot.snapshot_dir(store.dir, RECIPE, canonical.snapshot)
    attached = attach.attach(source, target, known.volumes)
    if attached.method != "overlay":
        raise SystemExit(f"no overlay here: {attached.reason}")


def after(store: CanonicalStore, canonical: Canonical, target: Path, *, small: bool) -> None:
    """As run/quick.py rolls back."""
    attach.detach(target)
    if small:
        require_whole(store.damage(canonical, read_data=False))
    else:
        require_whole(outline.touched(store.dir, canonical, time.time_ns()))


def line(size: Size) -> str:
    with tempfile.TemporaryDirectory(prefix="warmci-scale-", dir="/var/tmp") as directory:
        store, target = CanonicalStore(Path(directory)), Path(directory) / "attach"
        canonical = made(store.dir, size)
        manifest = snapshot.snapshot_dir(store.dir, RECIPE, canonical.snapshot) / "manifest.json"
        small = outline.outline(store.dir, canonical).is_small
        parts = []
        for _ in range(ROUNDS):
            os.utime(manifest)  # another file to the outline, as it is to each program
            attached = spent(lambda: before(store, canonical, target))
            parts.append((attached, spent(lambda: after(store, canonical, target, small=small))))
        attached, rolled = min(parts, key=lambda both: both[0].seconds + both[1].seconds)
        walk = spent(lambda: store.damage(canonical, read_data=False))
    whole_s = attached.seconds + rolled.seconds
    used_s = attached.processor_s + rolled.processor_s
    cells = (attached.seconds, rolled.seconds, whole_s, used_s, walk.processor_s)
    return f"| {size} | {' | '.join(f'{cell:.3f}' for cell in cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--gigabytes", type=float, nargs="*", default=[1, 10, 50])
    options = parser.parse_args()
    sizes = [Size(count) for count in options.files] + [Size(LARGE, gigabytes) for gigabytes in options.gigabytes]
    load = os.getloadavg()[0]
    lines = [
        f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}; the best of"
        f" {ROUNDS} rounds, load {load:.1f}. Files of one byte, or {LARGE} sparse ones. Beside it what a quick run"
        " would ask if it walked through everything, as the nightly drill and `warmci snapshot verify` do.",
        "",
        "| snapshot | attach, s | roll back, s | both, s | both, s of processor | a walk through it, s of processor |",
        "| --- | --- | --- | --- | --- | --- |",
        *map(line, sizes),
    ]
    write_section("What data costs a quick run", "\n".join(lines), instead_of=BEFORE)


if __name__ == "__main__":
    main()
