"""docs/tutorial.md: its commands in one shell, as a reader types them, and what they print put under them."""

from __future__ import annotations

import re
import subprocess
from itertools import groupby
from typing import TYPE_CHECKING

from support.rooms import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "tutorial.md"
_BLOCK = re.compile(r"```sh\n(?P<script>.*?)```(?:\n\n```text\n(?P<said>.*?)```)?", re.DOTALL)
_SHOWN = re.compile(
    r"^(?:[✓✗] |error: |keycloak |hint: |(?:PASS|FAIL|UNVERIFIED) |[┏┃┡│└]|/|next: |nothing |cold |what the |plan of )"
)
_VARYING = (
    (re.compile(r"\d+\.\d+ s"), "N s"),
    (re.compile(r"\b\d{8}T\d{6}Z-[0-9a-f]{6}\b"), "RUN"),
    (re.compile(r"\b[0-9a-f]{8,40}\b"), "HASH"),
    (re.compile(r":\d{5}\b"), ":PORT"),
    (re.compile(r"[ ─━┏┳┓┡╇┩└┴┘]+"), " "),
)
_HALF = re.compile(r"[✓✗-] (fresh|upgrade): ")
TIMEOUT_S = 1200.0


def played(text: str, home: Path, env: dict[str, str]) -> str:
    """The page with what its commands print on this machine, below `home`."""
    blocks = list(_BLOCK.finditer(text))
    script = "".join(
        f"{{ :\n{block['script']}\n}} > {home}/said.{number} 2>&1\n" for number, block in enumerate(blocks)
    )
    where = home / "home"
    where.mkdir()
    subprocess.run(["bash", "-c", script], cwd=where, env=env, timeout=TIMEOUT_S, check=False)
    for number, block in reversed(list(enumerate(blocks))):
        if block["said"] is not None:
            said = (home / f"said.{number}").read_text(encoding="utf-8").replace(str(where), "/root")
            shown = "".join(f"{line.rstrip()}\n" for line in said.splitlines() if _SHOWN.match(line))
            text = text[: block.start("said")] + shown + text[block.end("said") :]
    return text


def steady(text: str) -> str:
    """The same on every machine, also which of a cold run's halves, which go side by side, said what first."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    groups = groupby(text.splitlines(), key=lambda line: bool(_HALF.match(line)))
    ordered = [sorted(lines, key=_half) if of_halves else list(lines) for of_halves, lines in groups]
    return "".join(f"{line}\n" for lines in ordered for line in lines)


def _half(line: str) -> str:
    found = _HALF.match(line)
    return found[1] if found else ""
