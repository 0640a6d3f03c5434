"""Runs of a sweep, each in a process of its own: one that crashes, or is killed, takes nothing else with it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from warmci.base import process

if TYPE_CHECKING:
    from warmci.base.process import Completed, Process
    from warmci.base.settings import Settings

_RUN_DEADLINE_S = 4 * 3600.0
_STOP_GRACE_S = 120.0
_OURS = ("WARMCI_", "DOCKER_", "CREDENTIALS_DIRECTORY")


class Children:
    """They die with us if we are killed, and clean up after themselves if we are interrupted."""

    def __init__(self, settings: Settings) -> None:
        self._env = {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
        self._env["WARMCI_MAX_TESTS"] = str(settings.max_tests)
        self._running: dict[str, Process] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def call(self, title: str, module: str, *arguments: str) -> Completed:
        """Run one of our own programs to its end. Raises CommandError when there is none after four hours."""
        with self._lock:
            if self._stopped:
                return process.Completed(130, "", "stopped before it began")
            argv, env = process.own_program(module, *arguments)
            child = process.start(argv, env={**self._env, **env})
            self._running[title] = child
        try:
            return process.finish(child, argv, timeout_s=_RUN_DEADLINE_S, check=False, grace_s=_STOP_GRACE_S)
        finally:
            with self._lock:
                self._running.pop(title, None)

    def stop(self) -> None:
        """Interrupt all at once; whoever called them waits for their ends."""
        with self._lock:
            self._stopped = True
            for child in self._running.values():
                process.interrupt(child)

    @property
    def titles(self) -> list[str]:
        """What runs now."""
        with self._lock:
            return sorted(self._running)
