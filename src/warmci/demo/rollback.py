"""The roll-back proof on real parts: the canonical's hash after each thing that could have harmed it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from warmci.base import process
from warmci.base.errors import RecipeFailedError
from warmci.base.models import Mode
from warmci.base.settings import FILE_VARIABLE
from warmci.demo.story import QUOTED, RECIPE, Stage, Story
from warmci.operate.recover import recover
from warmci.run.context import Request
from warmci.run.run import run_recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.report.console import Console

_MIDDLE_S = 120.0
_POLL_S = 0.05


class Proof(Story):
    """Each step ends with every byte, owner, mode and time of the canonical's data compared and hashed."""

    def __init__(self, stage: Stage, console: Console) -> None:
        super().__init__(stage, console)
        self._settings_file = stage.root / "settings.toml"
        self._hash = ""

    def tell(self) -> bool:
        self._step("1 Keycloak is live-warm", self._keycloak)
        self._step("2 there is a canonical", self._canonical)
        self._step("3 a PR fails half-way through its migrations", self._same_after(self._bad))
        self._step("4 a PR passes", self._same_after(self._good))
        self._step("5 kill -9 in the middle of an upgrade", self._same_after(self._killed))
        self._step("6 the app boots from it, with its data", self._same_after(self._booted))
        self._step("7 nothing else is left", self._nothing_left)
        return self._told("The roll-back proof")

    def _canonical(self) -> str:
        for ref, action in (("0.1.0+2.2.8", "seed"), ("0.1.1+2.2.8", "advance")):
            self._promoted(ref, action)
        self._hash = self._fingerprint()
        canonical = self._store.load(RECIPE)
        lived = " → ".join(past.version for past in canonical.lineage) if canonical else "nothing"
        return f"hash {self._hash[:12]}, data that lived through {lived}"

    def _same_after(self, step: Callable[[], str]) -> Callable[[], str]:
        def checked() -> str:
            said = step()
            now = self._fingerprint()
            if now != self._hash:
                raise RecipeFailedError(f"the canonical changed: {self._hash} → {now}")
            return f"{said}; hash {now[:12]} as before"

        return checked

    def _bad(self) -> str:
        result = self._run(Mode.QUICK, "bad", 1, pr="bad")
        if QUOTED not in f"{result.summary}\n{result.log_excerpt}":
            raise RecipeFailedError(f"the log does not quote {QUOTED}: {result.summary}")
        return f"FAIL: {QUOTED}"

    def _good(self) -> str:
        self._run(Mode.QUICK, "good", 0, pr="good")
        return "PASS, and what it migrated is thrown away"

    def _killed(self) -> str:
        """Killed as soon as the head's containers are being started: on the attached data, in its migrations."""
        arguments = (RECIPE, "--ref", "good", "--pr", "good", "--quick")
        argv, env = process.own_program("warmci.run_recipe_ci", *arguments)
        log = self._settings_file.with_name("killed.log")
        log.unlink(missing_ok=True)
        child = process.start(argv, env={**env, FILE_VARIABLE: str(self._settings_file)}, log_file=log)
        try:
            self._await_upgrade(child, log.read_text)
        finally:
            child.kill()
            child.wait()
        removed = recover(self._engine, self._settings, self._state.instance, self._store)
        if not removed:
            raise RecipeFailedError("the killed run had made nothing: it was killed too early")
        return f"the next command removed {len(removed)} leftovers"

    def _await_upgrade(self, child: process.Process, read: Callable[[], str]) -> None:
        """Until the canonical has been deployed; the upgrade is what comes next."""
        end = time.monotonic() + _MIDDLE_S
        while "deploy the canonical" not in read():
            if child.poll() is not None or time.monotonic() > end:
                raise RecipeFailedError(f"the run did not get to its upgrade: {read().strip().splitlines()[-1:]}")
            time.sleep(_POLL_S)
        time.sleep(1.0)  # into the middle of it

    def _booted(self) -> str:
        canonical = self._store.load(RECIPE)
        commit = canonical.commit if canonical else ""
        result = run_recipe(self._settings, self._console, Request(RECIPE, Mode.DRILL, commit))
        if result.exit_code:
            raise RecipeFailedError(f"exit code {result.exit_code}: {result.summary}")
        tests = [test.name.rpartition("::")[2] for stage in result.stages for test in stage.tests]
        kept = [name for name in tests if "kept" in name]
        return f"it serves, {len(tests)} tests passed ({', '.join(kept)}, a login through Keycloak)"
