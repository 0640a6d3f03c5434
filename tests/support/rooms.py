"""The rooms of the package: their order, what each imports, and the picture in docs/architecture.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "warmci"
PAGE = ROOT / "docs" / "architecture.md"
ENTRY = "run_recipe_ci"
ORDER = (
    ENTRY,
    "cli",
    "demo",
    "sweep",
    "run",
    "operate",
    "live",
    "sso",
    "testing",
    "store",
    "swarm",
    "recipe",
    "report",
    "base",
)
"""From the top: a room knows only the rooms below it."""
_BLOCK = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)


def room_of(path: Path) -> str:
    """`cli` for src/warmci/cli/app.py; a module at the top is a room of its own."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    found = [SOURCE / f"{ENTRY}.py", *SOURCE.glob("*/*.py")]
    return sorted(found)


def imports_of(path: Path) -> set[str]:
    """Dotted names that the module imports, at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def arrows() -> dict[str, set[str]]:
    """Room to the rooms that it imports from."""
    found: dict[str, set[str]] = {room: set() for room in ORDER}
    for path in modules():
        names = {name.split(".")[1] for name in imports_of(path) if name.startswith("warmci.")}
        found[room_of(path)] |= names & set(ORDER) - {room_of(path)}
    return found


def picture() -> str:
    """Mermaid; an arrow that follows from others is left out, or nobody could read it."""
    direct = arrows()
    above = {room: set().union(*(_reach(direct, other) for other in below)) for room, below in direct.items()}
    lines = [f"    {room} --> {other}" for room in ORDER for other in ORDER if other in direct[room] - above[room]]
    return "\n".join(["graph TD", *lines, ""])


def _reach(graph: dict[str, set[str]], room: str) -> set[str]:
    return graph[room].union(*(_reach(graph, below) for below in graph[room]))


def page_with_picture() -> str:
    return _BLOCK.sub(lambda _: picture(), PAGE.read_text(encoding="utf-8"), count=1)
