"""What a run is about to create, on disk before it exists: a killed run can be cleaned up after."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME = "journal.jsonl"


class Journal:
    """Append-only lines of {"t", "kind", "name", …}; each is durable when `note` returns."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / FILE_NAME

    def note(self, kind: str, name: str, **more: str) -> None:
        line = json.dumps({"t": round(time.time(), 3), "kind": kind, "name": name, **more}) + "\n"
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, line.encode())
            os.fsync(fd)
        finally:
            os.close(fd)

    def entries(self, kind: str) -> Iterator[dict[str, str]]:
        """Entries of one kind, oldest first; a torn last line (power cut) is left out."""
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(entry, dict) and entry.get("kind") == kind:
                yield entry
