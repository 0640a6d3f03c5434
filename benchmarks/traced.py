"""Runs run_recipe_ci.py and notes what it used: `traced.py NOTES ARGUMENTS...` writes NOTES as JSON.

Processor time of its own and of the processes that it waited for, its imports, and which programs it started.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path


def main(notes: Path, arguments: list[str]) -> int:
    started: Counter[str] = Counter()

    def hear(event: str, facts: tuple[object, ...]) -> None:
        if event == "subprocess.Popen" and isinstance(facts[1], (list, tuple)):
            words = [str(word) for word in facts[1]]
            started[_program(words)] += 1

    sys.addaudithook(hear)
    began = time.monotonic()
    from warmci import run_recipe_ci  # noqa: PLC0415

    imports_s = time.monotonic() - began
    code = run_recipe_ci.main(arguments)
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "imports_s": imports_s,
        "own_cpu_s": own.ru_utime + own.ru_stime,
        "others_cpu_s": others.ru_utime + others.ru_stime,
        "peak_mb": own.ru_maxrss / 1024,
        "started": started,
    }
    notes.write_text(json.dumps(found), encoding="utf-8")
    return code


def _program(words: list[str]) -> str:
    """What is run, without what runs it: our tools are started through setpriv, some through prlimit."""
    if words[0].endswith("setpriv"):
        words = words[words.index("--") + 1 :]
    if words[0].endswith("prlimit"):
        words = [word for word in words[1:] if not word.startswith("--")]
    return "pytest" if "pytest" in words else Path(words[0]).name


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
