"""Pulls what an engine lacks, and tells whose fault it is when an image does not come.

What an engine says of a failed pull is text, and differs between engines (seen: 20.10 and 29, with Debian's
docker-registry): only words that say "there is no such image" blame the recipe, all else is infrastructure.
"""

from __future__ import annotations

import math
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, RecipeFailedError
from warmci.base.labels import LIVE_RUNS
from warmci.swarm import pulled
from warmci.swarm.images import PullRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any

    from warmci.swarm.engine import Engine

_AT_ONCE = 3
_LOOK_S = 0.5
MANIFEST_S = 90.0
"""Without a manifest by then there is no registry, though something took the connection; the engine would wait on."""
STALL_S = 120.0
"""A layer on its way of which nothing has come for so long: the engine has no deadline for it."""
_ON_ITS_WAY = {"Pulling fs layer", "Downloading"}
"""Others wait for their turn at the engine (Waiting), or are its own work, which a slow disk holds up."""
_HUB = "docker.io"
_MB = 1_000_000
_WORDS_MAX = 400
_QUERY = re.compile(r"\?[^\s\"']+")
"""Registries redirect to signed addresses: who reads one may fetch for a while."""
_MISSING = re.compile(
    r"manifest unknown|name unknown|: not found\b|repository \S+ not found|repository does not exist"
    r"|no matching manifest|no match for platform|invalid (?:reference|tag) format|invalid repository name"
    r"|invalid checksum digest|unsupported digest algorithm",
    re.IGNORECASE,
)
_LOGIN = re.compile(
    r"no basic auth credentials|authentication required|incorrect username or password|\b401\b", re.IGNORECASE
)
# What registries with anonymous access answer for a repository that is not there, and for one that is private.
_DENIED = re.compile(r"\bdenied\b|insufficient_scope|requested resource is not authorized", re.IGNORECASE)
_PROXY = re.compile(r"proxyconnect|Proxy Authentication Required", re.IGNORECASE)
_NO_HOST = re.compile(r"no such host", re.IGNORECASE)
_HINTS = (
    (_PROXY, "the engine's proxy: see HTTPS_PROXY of dockerd"),
    (_LOGIN, "docker login {registry}, as the user that WarmCI runs as; then retry"),
    (
        re.compile(r"toomanyrequests|\b429\b", re.IGNORECASE),
        "retry later, or docker login {registry} for a higher limit",
    ),
    (re.compile(r"x509|tls:", re.IGNORECASE), "its CA belongs into /etc/docker/certs.d/{registry}/ca.crt"),
    (re.compile(r"no space left|disk quota", re.IGNORECASE), "warmci prune; then retry"),
    (re.compile(r""), "retry when {registry} answers again"),
)


class MissingImageError(RecipeFailedError):
    """The registry has answered: there is no such image, for nobody who uses the recipe."""

    final = True


@dataclass
class _Pull:
    """One image on its way, in a thread that is left behind when a deadline or a failure ends the wait."""

    engine: Engine
    reference: str
    layers: dict[str, tuple[int, int]] = field(default_factory=dict)
    failure: BaseException | None = None
    done: bool = False
    heard: float = math.inf
    """When its engine last said something, or it began."""
    has_manifest: bool = False
    states: dict[str, str] = field(default_factory=dict)
    """Of its layers."""

    def run(self, turn: threading.Semaphore, wake: threading.Event) -> None:
        try:
            with turn:
                self.heard = time.monotonic()
                self.engine.pull(self.reference, self._note)
        except BaseException as error:  # noqa: BLE001  (raised in the caller's thread)
            self.failure = error
        finally:
            self.done = True
            wake.set()

    def _note(self, line: dict[str, Any]) -> None:
        self.heard, status = time.monotonic(), str(line.get("status"))
        # Engines differ in whether they say that they pull from somewhere before or after the manifest has come.
        self.has_manifest |= "Pulling from" not in status
        self.states[str(line.get("id"))] = status
        detail = line.get("progressDetail") or {}
        if line.get("status") == "Downloading" and detail.get("total"):
            self.layers[str(line.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))

    @property
    def silent_s(self) -> float:
        """How long nothing has come of what should."""
        is_due = not self.has_manifest or not _ON_ITS_WAY.isdisjoint(self.states.values())
        return time.monotonic() - self.heard if is_due else 0.0

    def __str__(self) -> str:
        known = list(self.layers.values())
        size = f" {sum(c for c, _ in known) / _MB:.0f} of {sum(t for _, t in known) / _MB:.0f} MB" if known else ""
        return f"{self.reference}{size}"


def provide(
    engine: Engine,
    references: Iterable[str],
    *,
    state_dir: Path,
    run: str,
    deadline_s: float,
    on_change: Callable[[str], None],
) -> list[str]:
    """Pull those that the engine lacks, and remember for which run; returns them. Raises as pull_images.

    What it has is never asked for, so that images without a registry work. Of what is live nothing is remembered: it
    is never pruned.
    """
    lacking = pulled.absent(engine, references)
    try:
        pull_images(engine, lacking, deadline_s=deadline_s, on_change=on_change)
    finally:
        if run not in LIVE_RUNS:
            pulled.record(state_dir, engine, lacking, run)
    return lacking


def pull_images(
    engine: Engine, references: Iterable[str], *, deadline_s: float, on_change: Callable[[str], None]
) -> None:
    """Pull them, a few at once. Raises MissingImageError where a registry has no such image, else InfraError."""
    turn, wake = threading.Semaphore(_AT_ONCE), threading.Event()
    pulls = [_Pull(engine, reference) for reference in dict.fromkeys(references)]
    for pull in pulls:
        threading.Thread(target=pull.run, args=(turn, wake), daemon=True, name="pull").start()
    end = time.monotonic() + deadline_s
    while True:
        left = [pull for pull in pulls if not pull.done]
        for pull in pulls:
            if isinstance(pull.failure, PullRefusedError):
                raise fault(engine, pull.reference, pull.failure) from pull.failure
            if pull.failure is not None:
                raise pull.failure
        if not left:
            return
        if time.monotonic() > end:
            raise InfraError(
                f"images are not pulled after {deadline_s:.0f} s; under way: {', '.join(map(str, left))}",
                hint="raise pull_timeout_s if the registry is only slow",
            )
        for pull in left:
            if pull.silent_s > (STALL_S if pull.has_manifest else MANIFEST_S):
                raise _silent(engine, pull)
        on_change(f"pulling {', '.join(map(str, left))}")
        wake.wait(_LOOK_S)
        wake.clear()


def _silent(engine: Engine, pull: _Pull) -> InfraError:
    registry = engine.registry_of(pull.reference)
    what = f"nothing of a layer for {STALL_S:.0f} s" if pull.has_manifest else f"no manifest after {MANIFEST_S:.0f} s"
    return InfraError(
        f"image {pull.reference} cannot be pulled from {registry}: {what}",
        hint=f"retry when {registry} answers again",
    )


def fault(engine: Engine, reference: str, refused: PullRefusedError) -> MissingImageError | InfraError:
    """Whose fault it is that a registry, or the engine itself, did not give an image."""
    registry, words = engine.registry_of(reference), _QUERY.sub("?…", refused.words)[:_WORDS_MAX]
    if _is_missing(engine, registry, refused):
        hint = "correct the image's name or tag in the recipe"
        if _DENIED.search(words):
            hint += f"; if it is private: docker login {registry}, as the user that WarmCI runs as"
        if _NO_HOST.search(words):
            said = f"no such image: {reference} is not on this engine, which has no way to {registry}: {words}"
            return MissingImageError(said, hint=f"{hint}, or give this engine the image")
        return MissingImageError(f"no such image: {reference}; {registry} says: {words}", hint=hint)
    hint = next(text for pattern, text in _HINTS if pattern.search(words)).format(registry=registry)
    return InfraError(f"image {reference} cannot be pulled from {registry}: {words}", hint=hint)


def _is_missing(engine: Engine, registry: str, refused: PullRefusedError) -> bool:
    words = refused.words
    if _PROXY.search(words) or _LOGIN.search(words):
        return False
    if _DENIED.search(words):
        # Who is logged in and refused lacks a right; who is not is told what each user of the recipe would be.
        return not engine.has_login(registry)
    if _NO_HOST.search(words):
        # An engine without the outside has what was loaded into it; a registry that the recipe names may be down.
        return registry == _HUB
    return refused.status == 404 or _MISSING.search(words) is not None
