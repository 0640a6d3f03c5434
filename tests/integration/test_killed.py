"""kill -9, Ctrl-C and SIGTERM at any moment: the canonical survives, the next command cleans up."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from warmci.base.journal import Journal
from warmci.base.labels import INSTANCE_LABEL, LIVE_RUN, RUN_LABEL
from warmci.base.models import Ledger
from warmci.base.run_locks import claimed_run
from warmci.base.state import open_state
from warmci.store import attach, snapshot
from warmci.swarm import reap

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.integration
KILLS = 10
LONGEST_S = 11.0
QUICK = ("miniflux", "--ref", "good", "--pr", "7", "--quick")


def leftovers(bench: Bench) -> list[str]:
    """Everything of this instance on the engine but the live Keycloak, asked of the engine itself."""
    engine, ours = bench.engine, [f"{INSTANCE_LABEL}={open_state(bench.settings.state_dir).instance}"]
    labelled = [(i["Spec"]["Name"], i["Spec"]["Labels"]) for i in (*engine.services(ours), *engine.secrets(ours))]
    labelled += [(i["Spec"]["Name"], i["Spec"]["Labels"]) for i in engine.configs(ours)]
    labelled += [(i["Name"], i["Labels"]) for i in (*engine.networks(ours), *engine.volumes(ours))]
    found = [name for name, labels in labelled if labels[RUN_LABEL] != LIVE_RUN]
    found += [item["Names"][0] for item in engine.containers() if "keycloak" not in item["Names"][0]]
    found += [str(path) for path in attach.leftover_mounts(bench.settings.state_dir)]
    home = bench.settings.state_dir / "miniflux"
    found += [str(path) for part in ("staging", "trash") for path in (home / part).glob("*")]
    found += [str(path) for path in bench.settings.runs_dir.glob("*/work")]
    return found + list(bench.ledger().realms)


@pytest.mark.long
def test_kill_9_at_random_moments(seeded: Bench) -> None:
    before = seeded.fingerprint("miniflux")
    seed = random.randrange(1 << 30)
    moments = random.Random(seed)
    print(f"seed {seed}")
    dirty = 0
    for _ in range(KILLS):
        process = seeded.start("run_recipe_ci.py", *QUICK)
        time.sleep(moments.uniform(0.3, LONGEST_S))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
        dirty += bool(leftovers(seeded))
        recovered = seeded.call("warmci", "recover")
        assert recovered.code == 0, f"seed {seed}: {recovered.stderr}"
        assert leftovers(seeded) == [], f"seed {seed}: {recovered.stderr}"
    assert dirty, f"seed {seed}: no kill hit a run that had created something"
    assert seeded.fingerprint("miniflux") == before
    assert seeded.ledger() == Ledger()
    answer = seeded.run(*QUICK)
    assert answer.code == 0, answer.stderr


@pytest.mark.parametrize("moment_s", [1.0, 3.5, 6.5])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_runs_clean_up_after_themselves(seeded: Bench, number: signal.Signals, moment_s: float) -> None:
    before = seeded.fingerprint("miniflux")
    process = seeded.start("run_recipe_ci.py", *QUICK)
    time.sleep(moment_s)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert leftovers(seeded) == [], stderr
    assert seeded.fingerprint("miniflux") == before


def test_a_killed_promotion_leaves_the_old_canonical(seeded: Bench) -> None:
    """The cold run of main would find nothing to do; its reseed is killed while it makes a new canonical."""
    before = seeded.fingerprint("miniflux")
    process = seeded.start("run_recipe_ci.py", "miniflux", "--reseed")
    time.sleep(22)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert seeded.call("warmci", "recover").code == 0
    assert leftovers(seeded) == []
    assert seeded.fingerprint("miniflux") == before


def test_a_run_waits_while_another_command_cleans_up_after_a_killed_one(seeded: Bench) -> None:
    """It deploys where the killed one did, and would have to share the stack with its own removal."""
    runs, end = seeded.settings.runs_dir, time.monotonic() + 60
    before = set(runs.iterdir())
    process = seeded.start("run_recipe_ci.py", *QUICK)
    while not (homes := [home for home in set(runs.iterdir()) - before if any(Journal(home).entries("stack"))]):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    with claimed_run(homes[0]) as dead:
        assert dead
        waiting = seeded.start("run_recipe_ci.py", *QUICK)
        while not (born := set(runs.glob("2*")) - before - set(homes)):
            assert time.monotonic() < end + 60
            time.sleep(0.05)
        time.sleep(5)
        assert waiting.poll() is None, waiting.communicate()[1]
        assert not [entry for home in born for entry in Journal(home).entries("volume")]
        reap.remove_objects(seeded.engine, open_state(seeded.settings.state_dir).instance, homes[0].name)
        attach.detach(homes[0] / "work" / "attach")
        snapshot.remove(homes[0] / "work")
    _, stderr = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, stderr
    assert "waiting: another command cleans up " in stderr
    assert leftovers(seeded) == []
