"""What a quick run asks of its snapshot beside what `warmci snapshot verify` asks, for few and for many files.

Processor time, which a loaded machine does not change much. It never fails on a figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from page import write_section
from warmci.base import names
from warmci.base.models import Canonical
from warmci.store import outline, snapshot
from warmci.store.canonical import CanonicalStore

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPE = "many"
PER_DIRECTORY = 1000


def made(state_dir: Path, count: int) -> Canonical:
    staging = snapshot.stage(state_dir, RECIPE, names.new_id())
    volume = snapshot.make_volume(staging, "data")
    for number in range(count):
        directory = volume / str(number // PER_DIRECTORY)
        directory.mkdir(exist_ok=True)
        (directory / str(number)).write_bytes(b"x")
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


def spent_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def quick(store: CanonicalStore, canonical: Canonical) -> None:
    """As run/pipeline.py and run/quick.py ask: before, at the attachment, after the roll-back."""
    store.damage(canonical)
    if outline.outline(store.dir, canonical).is_small:
        store.damage(canonical, read_data=False)
    else:
        outline.touched(store.dir, canonical, time.time_ns())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[1_000, 10_000, 200_000])
    options = parser.parse_args()
    lines = [
        f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}; seconds of processor"
        f" time, load {os.getloadavg()[0]:.1f}. Beside it what a quick run asked before: to walk through everything.",
        "",
        "| files | a quick run | `warmci snapshot verify` |",
        "| --- | --- | --- |",
    ]
    for count in options.files:
        with tempfile.TemporaryDirectory(prefix="warmci-scale-", dir="/var/tmp") as directory:
            store = CanonicalStore(Path(directory))
            canonical = made(store.dir, count)
            mine = spent_s(lambda: quick(store, canonical))  # noqa: B023  (called at once)
            all_of_it = spent_s(lambda: store.damage(canonical, read_data=False))  # noqa: B023
            lines.append(f"| {count:,} | {mine:.3f} | {all_of_it:.3f} |")
    write_section("What a quick run asks of a snapshot of many files", "\n".join(lines))


if __name__ == "__main__":
    main()
