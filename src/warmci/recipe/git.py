"""Runs git on a stranger's repository: bounded in time, memory, bytes; no hooks, filters, submodules or questions."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from warmci.base import process
from warmci.base.errors import RecipeFailedError

if TYPE_CHECKING:
    from pathlib import Path

CLONE_TIMEOUT_S = 300.0
LOCAL_TIMEOUT_S = 60.0
PACK_MAX = 512 * 2**20
"""Bytes of the largest file that git may write: the pack of a clone."""
FILES_MAX = 20_000
FILE_MAX = 32 * 2**20
TREE_MAX = 256 * 2**20
"""Of one commit's checkout."""
_OUTPUT_MAX = 8 * 2**20
# Ownership is not ours to insist on. A filter of the operator's own (git-lfs) fetches what a stranger names.
_CONFIG = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "safe.directory=*", "advice.detachedHead=false"),
    *("submodule.recurse=false", "fetch.recurseSubmodules=false", "pack.threads=1", "gc.auto=0"),
    *("filter.lfs.smudge=", "filter.lfs.process=", "filter.lfs.required=false", "protocol.ext.allow=never"),
)
_ENV = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
}
_LIMITS = {
    "as": (resource.RLIMIT_AS, 2 * 2**30),
    "cpu": (resource.RLIMIT_CPU, int(CLONE_TIMEOUT_S)),
    "fsize": (resource.RLIMIT_FSIZE, PACK_MAX),
    "core": (resource.RLIMIT_CORE, 0),
}
_TOO_LARGE = "File too large"


def git(*arguments: str, cwd: Path | None = None, timeout_s: float = LOCAL_TIMEOUT_S, check: bool = True) -> str:
    """What git said, without line ends around it; empty where it failed and check is false.

    Raises CommandError as process.run does, RecipeFailedError where the repository is too large.
    """
    argv = ["git", *(part for setting in _CONFIG for part in ("-c", setting)), *arguments]
    with process.start([*_limited(), *argv], cwd=cwd, env=_ENV) as running:
        done = process.finish(running, argv, timeout_s=timeout_s, check=False, most_bytes=_OUTPUT_MAX)
    if done.returncode == 0:
        return done.stdout.strip()
    if _TOO_LARGE in done.stderr:
        raise RecipeFailedError(f"the repository is larger than {PACK_MAX >> 20} MiB, which is the most that is cloned")
    if check:
        output = done.stderr or done.stdout
        raise process.CommandError(argv, done.returncode, output, why=_why(output))
    return ""


def _why(output: str) -> str:
    """The line that git ends with, before its advice; with the transport's own line, where that knows more."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    fatal = next((number for number, line in enumerate(lines) if line.startswith("fatal:")), None)
    if fatal is None:
        return ""
    before = lines[fatal - 1] if fatal and "Could not read from remote" in lines[fatal] else ""
    return f"{before}; {lines[fatal]}" if before else lines[fatal]


def _limited() -> list[str]:
    """Runs a command within the limits, or within our own where those are lower."""
    ours = {name: (resource.getrlimit(kind)[1], most) for name, (kind, most) in _LIMITS.items()}
    flags = [
        f"--{name}={most if hard == resource.RLIM_INFINITY else min(hard, most)}" for name, (hard, most) in ours.items()
    ]
    # Too large a file is told as an error of writing, in git's own words, and not by a signal's silence.
    return ["prlimit", *flags, "--", "env", "--ignore-signal=XFSZ"]


def require_small(repository: Path, commit: str) -> None:
    """Raise RecipeFailedError when a checkout of the commit would have too many files or bytes; nothing is written."""
    where = f"commit {commit[:8]}"
    try:
        listed = git("ls-tree", "-r", "-l", "-z", "--full-tree", commit, cwd=repository)
    except process.OutputError as error:
        raise RecipeFailedError(f"{where} has more than the {FILES_MAX} files that a recipe may have") from error
    entries = [entry.partition("\t") for entry in listed.split("\0") if entry]
    if len(entries) > FILES_MAX:
        raise RecipeFailedError(f"{where} has {len(entries)} files, a recipe may have {FILES_MAX}")
    total = 0
    for facts, _, name in entries:
        size = facts.split()[-1]  # of a submodule: -
        total += int(size) if size.isdecimal() else 0
        if size.isdecimal() and int(size) > FILE_MAX:
            raise RecipeFailedError(f"{where}: {name} has {int(size)} bytes, a file of a recipe may have {FILE_MAX}")
    if total > TREE_MAX:
        raise RecipeFailedError(f"{where} has {total} bytes in its files, a recipe may have {TREE_MAX}")
