"""Four runs at once at one live Keycloak, each in a realm of its own; one of them is killed."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from warmci.base.models import Ledger, RunResult
from warmci.sso import keycloak_app, realm_lifecycle

if TYPE_CHECKING:
    import subprocess

    from support.bench import Bench

pytestmark = [pytest.mark.integration, pytest.mark.long]
RUNS = {
    "main": ("--ref", "main"),
    "21": ("--ref", "good", "--pr", "21"),
    "22": ("--ref", "bad", "--pr", "22"),
    "23": ("--ref", "0.1.0+2.2.8", "--pr", "23"),
}
KILLED = "23"
REALMS_DEADLINE_S = 180.0
RUN_DEADLINE_S = 900.0


def realms(bench: Bench, provider: keycloak_app.Provider) -> dict[str, str]:
    """Run to the name of its realm, asked of Keycloak."""
    with keycloak_app.connected(bench.settings, provider.access) as keycloak:
        return {realm.run: realm.name for realm in realm_lifecycle.list_realms(keycloak)}


def test_each_has_a_realm_and_the_killed_ones_is_reaped(seeded: Bench, live_provider: keycloak_app.Provider) -> None:
    bench = seeded
    before = set(realms(bench, live_provider))
    runs = {
        name: bench.start("run_recipe_ci.py", "miniflux", *arguments, "--json", WARMCI_MAX_TESTS="4")
        for name, arguments in RUNS.items()
    }
    try:
        seen = all_realms(bench, live_provider, before, runs)
        assert len({*seen.values()}) == len(RUNS)
        (victim,) = [run for run, realm in seen.items() if realm.startswith(f"ci-miniflux-{KILLED}-")]
        os.kill(runs[KILLED].pid, signal.SIGKILL)
        runs[KILLED].communicate(timeout=30)
        assert victim in realms(bench, live_provider), "nobody cleans up while it dies"
        for name in RUNS.keys() - {KILLED}:
            stdout, stderr = runs[name].communicate(timeout=RUN_DEADLINE_S)
            assert runs[name].returncode == 0, stderr
            result = RunResult.model_validate_json(stdout)
            assert result.run in seen
            assert result.leftovers == ()
            logins = [test for stage in result.stages for test in stage.tests if "login_through" in test.name]
            assert {test.outcome for test in logins} == {"passed"}
        # Whatever comes next reaps it.
        assert bench.call("warmci", "recover").code == 0
        assert set(realms(bench, live_provider)) == before
        assert bench.ledger() == Ledger()
    finally:
        for process in runs.values():
            process.kill()
            process.wait()


def all_realms(
    bench: Bench, provider: keycloak_app.Provider, before: set[str], runs: dict[str, subprocess.Popen[str]]
) -> dict[str, str]:
    """Wait until the realms of all four are there at the same time."""
    ends = time.monotonic() + REALMS_DEADLINE_S
    while True:
        seen = {run: realm for run, realm in realms(bench, provider).items() if run not in before}
        if len(seen) == len(RUNS):
            return seen
        ended = [name for name, process in runs.items() if process.poll() is not None]
        assert not ended, f"run {ended} ended before all four had realms: {runs[ended[0]].communicate()}"
        assert time.monotonic() < ends, f"after {REALMS_DEADLINE_S} s there are {seen}"
        time.sleep(0.2)
