"""docs/pictures: the pages as a browser shows them, the demo's story as a terminal has it; `make docs` makes them."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from support.chromium import browser
from support.rooms import ROOT
from support.site import settled
from warmci.operate import site

HOME = ROOT / "docs" / "pictures"


def story() -> str:
    """The README's table of the demo, as SVG."""
    found = re.search(r"```\n(step .*?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    lines = [Text("$ warmci demo", style="bold"), *(_line(line) for line in found[1].splitlines())]
    console = Console(record=True, width=max(len(line) for line in lines) + 1, file=io.StringIO())
    for line in lines:
        console.print(line, no_wrap=True, overflow="ignore")
    drawn = console.export_svg(title="warmci demo", unique_id="demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # nothing is loaded from elsewhere


def _line(line: str) -> Text:
    shown = Text(line, style="bold" if line.startswith("step") else "")
    shown.highlight_regex(r"\b(green|PASS)\b", "green")
    shown.highlight_regex(r"\bFAIL\b", "bold red")
    return shown


def write() -> None:
    HOME.mkdir(exist_ok=True)
    (HOME / "demo.svg").write_text(story(), encoding="utf-8")
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as profile:
        settings = settled(Path(name))
        home = site.build(settings)
        green, *_, red, _ = sorted(settings.runs_dir.glob("*/report.html"))
        shots = [
            (home / "index.html", "overview", 1280, "light"),
            (home / "index.html", "overview-narrow", 360, "dark"),
        ]
        shots += [(red, "report-red", 1280, "light"), (green, "report-green", 1280, "dark")]
        with browser(Path(profile)) as chromium:
            for page, picture, width, scheme in shots:
                chromium.show(page, width, scheme)
                (HOME / f"{picture}.png").write_bytes(chromium.picture())


if __name__ == "__main__":
    write()
