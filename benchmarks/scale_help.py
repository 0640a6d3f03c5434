"""`--help` of both programs beside `import typer`, in turn: what a person waits for before a program says a word."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

from page import row, write_section
from scale_recipes import Spent, spent

_BIN = Path(sys.executable).parent
PROGRAMS = {
    "`warmci --help`": (str(_BIN / "warmci"), "--help"),
    "`run_recipe_ci.py --help`": (str(_BIN / "run_recipe_ci.py"), "--help"),
}
TYPER = (sys.executable, "-c", "import typer")


def ratios(rounds: int) -> dict[str, list[tuple[Spent, Spent]]]:
    """Of each program, pairs: itself and `import typer` right before it."""
    found: dict[str, list[tuple[Spent, Spent]]] = {name: [] for name in PROGRAMS}
    for argv in (*PROGRAMS.values(), TYPER):
        spent(argv)  # uncounted: bytecode and the page cache
    for _ in range(rounds):
        for name, argv in PROGRAMS.items():
            floor = spent(TYPER)
            found[name].append((spent(argv), floor))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    lines = [
        f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}, load"
        f" {os.getloadavg()[0]:.1f}; {options.rounds} pairs in turn, each ratio within its pair.",
        "",
        '| ratio to `python -c "import typer"` | min | median | max |',
        "| --- | --- | --- | --- |",
    ]
    for name, pairs in ratios(options.rounds).items():
        lines.append(row(f"{name}, by the clock", [one.seconds / floor.seconds for one, floor in pairs]))
        lines.append(row(f"{name}, processor time", [one.cpu_s / floor.cpu_s for one, floor in pairs]))
    write_section("What `--help` takes", "\n".join(lines))


if __name__ == "__main__":
    main()
