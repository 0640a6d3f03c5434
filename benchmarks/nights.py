"""How long a night is: a model of many recipes on few and many nodes, from the lengths of runs that were measured.

    python benchmarks/nights.py --state /var/lib/ci-warm --recipes 300
    python benchmarks/nights.py --seconds 52 86 240

Shares are those of `warmci sweep --shard`; each node has its slots, and a free slot takes the next recipe.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base.models import Mode, Verdict
from warmci.report.past import read_past
from warmci.sweep.shard import Board, first_share

if TYPE_CHECKING:
    from collections.abc import Iterable

NODES = (1, 4, 16)


def measured(state: Path) -> list[float]:
    """Seconds of the green cold runs that the state directory knows."""
    found = read_past(state / ".runs")
    return [result.seconds for result in found if result.ran is Mode.COLD and result.verdict is Verdict.PASS]


def night_s(lengths: Iterable[float], slots: int) -> float:
    """Seconds until the last of the runs has ended, each begun as soon as one of the slots is free."""
    ends = [0.0] * slots
    for length in lengths:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def shares(recipes: list[str], nodes: int) -> list[list[str]]:
    names = [f"node-{number}" for number in range(nodes)]
    return [first_share(recipes, Board({}, {}), name, names) for name in names]


def table(recipes: list[str], seconds: list[float], slots: int) -> str:
    """Markdown: the night on 1, 4 and 16 nodes, and on one less."""
    length = dict(zip(recipes, itertools.cycle(seconds), strict=False))
    lines = [
        f"{len(recipes)} recipes, runs of {min(seconds):.0f} to {max(seconds):.0f} s "
        f"(median {statistics.median(seconds):.0f} s, {len(seconds)} measured), {slots} at once on each node.",
        "",
        "| nodes | recipes of a node | the night | with one node less |",
        "| --- | --- | --- | --- |",
    ]
    for nodes in NODES:
        parts = shares(recipes, nodes)
        sizes = sorted(map(len, parts))
        night = max(night_s((length[name] for name in part), slots) for part in parts)
        fewer = ""
        if nodes > 1:
            rest = shares(recipes, nodes - 1)
            fewer = said(max(night_s((length[name] for name in part), slots) for part in rest))
        lines.append(f"| {nodes} | {sizes[0]} to {sizes[-1]} | {said(night)} | {fewer or 'none'} |")
    return "\n".join(lines)


def said(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--recipes", type=int, default=300)
    words.add_argument("--slots", type=int, default=2, help="max_tests of each node")
    given = words.add_mutually_exclusive_group(required=True)
    given.add_argument("--state", type=Path, help="take the lengths from the runs of this state directory")
    given.add_argument("--seconds", type=float, nargs="+", help="lengths of cold runs")
    asked = words.parse_args()
    seconds = asked.seconds or measured(asked.state)
    if not seconds:
        words.error(f"no green cold run in {asked.state}")
    print(table([f"recipe-{number}" for number in range(asked.recipes)], seconds, asked.slots))


if __name__ == "__main__":
    main()
