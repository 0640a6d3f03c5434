"""The main job on real parts: what the demo tells, piece by piece, through the console scripts."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from warmci.base.models import Ledger, Mode, RunResult, Verdict
from warmci.live import keycloak_json

if TYPE_CHECKING:
    import subprocess

    from support.bench import Bench

pytestmark = pytest.mark.integration
QUOTED = "[Migration v119] pq: must be owner of extension hstore"
HEAD_TESTS = {"serves /healthcheck", "commit label is the one asked for", "running images are the ones asked for"}


def test_canonical_has_a_past(seeded: Bench) -> None:
    canonical = seeded.store.load("miniflux")
    assert canonical is not None
    assert [past.version for past in canonical.lineage] == ["0.1.0+2.2.8", "0.1.1+2.2.8"]
    assert canonical.state == "good"
    assert set(canonical.secrets) == {"db_password_v1", "db_root_pass_v1", "admin_password_v1"}
    assert (seeded.settings.state_dir / "miniflux" / "canonical.json").stat().st_mode & 0o777 == 0o600


def test_quick_passes_a_good_pr_and_changes_nothing(seeded: Bench) -> None:
    before = seeded.fingerprint("miniflux")
    answer = seeded.run("miniflux", "--ref", "good", "--pr", "7", "--quick")
    assert answer.code == 0, answer.stderr
    result = answer.result
    assert (result.requested, result.ran, result.verdict) == (Mode.QUICK, Mode.QUICK, Verdict.PASS)
    assert result.attach == "overlay"
    assert result.leftovers == ()
    assert result.ledger_after == Ledger()
    upgrade = next(stage for stage in result.stages if stage.name == "quick: upgrade to the head")
    assert {test.name for test in upgrade.tests} >= HEAD_TESTS | {"data in volume postgres survived"}
    own = next(stage for stage in result.stages if stage.name == "quick: tests (quick)")
    assert any("login_through_keycloak" in test.name for test in own.tests)
    assert any("healthcheck" in deviation for deviation in result.deviations)
    assert "does not gate a merge" in answer.stderr
    assert seeded.fingerprint("miniflux") == before


def test_quick_catches_the_regression_that_cold_misses(seeded: Bench) -> None:
    before = seeded.fingerprint("miniflux")
    quick = seeded.run("miniflux", "--ref", "bad", "--pr", "8", "--quick")
    assert quick.code == 1, quick.stderr
    assert QUOTED in quick.result.summary
    assert QUOTED in quick.result.log_excerpt
    reports = seeded.settings.runs_dir / quick.result.run
    assert 'name="warmci.quick.miniflux"' in (reports / "junit.xml").read_text(encoding="utf-8")
    assert QUOTED in (reports / "report.html").read_text(encoding="utf-8")
    assert quick.result.leftovers == ()
    assert seeded.fingerprint("miniflux") == before
    cold = seeded.run("miniflux", "--ref", "bad", "--pr", "8")
    assert cold.code == 0, cold.stderr
    assert cold.result.promotion is not None
    assert cold.result.promotion.outcome == "skipped"
    assert seeded.fingerprint("miniflux") == before
    assert seeded.ledger() == Ledger()


def test_quick_of_the_canonical_itself_verifies_nothing(seeded: Bench) -> None:
    answer = seeded.run("miniflux", "--ref", "0.1.1+2.2.8", "--quick")
    assert answer.code == 6, answer.stderr
    assert answer.result.verdict is Verdict.UNVERIFIED


def test_quick_without_a_canonical_runs_cold_and_says_why(bench: Bench) -> None:
    if bench.store.load("custom-html") is not None:  # an earlier test of the session kept one
        removed = bench.call("warmci", "canonical", "remove", "custom-html", "--yes")
        assert removed.code == 0, removed.stderr
    answer = bench.run("custom-html", "--ref", "1.0.0+1.35.0", "--quick")
    assert answer.code == 0, answer.stderr
    result = answer.result
    assert (result.requested, result.ran) == (Mode.QUICK, Mode.COLD)
    assert result.because == "there is no canonical of custom-html"
    assert f"requested: quick, ran: cold, because: {result.because}" in answer.stderr
    again = bench.run("custom-html", "--quick")
    assert again.code == 0, again.stderr
    assert again.result.ran is Mode.QUICK
    assert again.result.base_version == "1.0.0+1.35.0"


def test_a_dirty_canonical_is_not_used_and_reseeded(bench: Bench) -> None:
    assert bench.run("custom-html", "--ref", "1.0.0+1.35.0").code == 0
    bench.store.mark_dirty("custom-html", "a test says so")
    answer = bench.run("custom-html", "--quick")
    assert answer.code == 0, answer.stderr
    assert answer.result.because == "the canonical is dirty: a test says so"
    assert answer.result.promotion is not None
    assert (answer.result.promotion.action, answer.result.promotion.outcome) == ("seed", "ok")
    canonical = bench.store.load("custom-html")
    assert canonical is not None
    assert canonical.state == "good"
    assert [past.version for past in canonical.lineage] == ["1.0.0+1.35.0", "1.1.0+1.35.0"]


def test_keycloak_is_deployed_cold_when_there_is_no_live_one(bench: Bench) -> None:
    state = bench.root / "state-without-keycloak"
    answer = bench.run("miniflux", "--ref", "0.1.0+2.2.8", WARMCI_STATE_DIR=str(state))
    assert answer.code == 0, answer.stderr
    assert answer.result.dependencies["keycloak"].startswith("co-deployed cold, because: there is no live Keycloak")
    assert answer.result.leftovers == ()


def test_two_recipes_run_at_once(seeded: Bench) -> None:
    quick = seeded.start("run_recipe_ci.py", "miniflux", "--ref", "good", "--pr", "9", "--quick", "--json")
    cold = seeded.start("run_recipe_ci.py", "custom-html", "--ref", "1.0.0+1.35.0", "--pr", "3", "--json")
    for process in (quick, cold):
        stdout, stderr = process.communicate(timeout=200)
        assert process.returncode == 0, stderr
        assert json.loads(stdout)["leftovers"] == []
    assert seeded.ledger() == Ledger()


def realms_of(bench: Bench, *prs: str) -> set[str]:
    """Names of the realms that runs of these pull requests have at the live Keycloak now."""
    shown = bench.call("warmci", "realms", "list", "--json")
    assert shown.code == 0, shown.stderr
    names = {row["realm"]["name"] for row in json.loads(shown.stdout)["realms"]}
    return {name for name in names for pr in prs if name.startswith(f"ci-miniflux-{pr}-")}


def pull_request(bench: Bench, number: str) -> subprocess.Popen[str]:
    return bench.start("run_recipe_ci.py", "miniflux", "--ref", "good", "--pr", number, "--json", MAX_TESTS="3")


def await_realms(bench: Bench, *prs: str) -> None:
    end = time.monotonic() + 120
    while len(realms_of(bench, *prs)) < len(prs):
        assert time.monotonic() < end, f"the runs of {prs} do not have their realms at the same time"


def kill(run: subprocess.Popen[str]) -> None:
    os.kill(run.pid, signal.SIGKILL)
    run.communicate(timeout=30)


def passed(run: subprocess.Popen[str]) -> None:
    stdout, stderr = run.communicate(timeout=300)
    assert run.returncode == 0, stderr
    result = RunResult.model_validate_json(stdout)
    assert result.leftovers == ()
    assert any("login_through_keycloak" in test.name for stage in result.stages for test in stage.tests)


def test_pull_requests_of_one_recipe_run_at_once_and_one_is_killed(seeded: Bench) -> None:
    """At one Keycloak. kill -9 of one: its realm is reaped by the next command, the other's stays, both are green.

    The second time no command comes: what another run left is not held against those that are still under way.
    """
    before = seeded.fingerprint("miniflux")
    first, second = pull_request(seeded, "21"), pull_request(seeded, "22")
    await_realms(seeded, "21", "22")
    kill(second)
    assert len(realms_of(seeded, "22")) == 1
    third, fourth = pull_request(seeded, "23"), pull_request(seeded, "24")
    await_realms(seeded, "21", "23", "24")
    assert realms_of(seeded, "22") == set(), "the next command reaped it"
    kill(fourth)
    passed(first)
    passed(third)
    assert len(realms_of(seeded, "24")) == 1
    recovered = seeded.call("warmci", "recover")
    assert recovered.code == 0, recovered.stderr
    assert "realm ci-miniflux-24-" in recovered.stderr
    assert realms_of(seeded, "21", "22", "23", "24") == set()
    assert seeded.ledger() == Ledger()
    assert seeded.fingerprint("miniflux") == before


def test_a_keycloak_that_dies_in_the_run_is_not_the_recipes_fault(seeded: Bench) -> None:
    run = seeded.start("run_recipe_ci.py", "miniflux", "--ref", "good", "--pr", "25", "--json")
    await_realms(seeded, "25")
    label = ["com.docker.swarm.service.name=warm-keycloak_warmci_localhost_app"]
    services = [item["ID"] for item in seeded.engine.services() if "keycloak" in item["Spec"]["Name"]]
    seeded.engine.remove_services(services)
    seeded.engine.kill_containers([item["Id"] for item in seeded.engine.containers(label)])
    stdout, stderr = run.communicate(timeout=300)
    back = seeded.call("warmci", "keycloak", "reconcile", "--json")
    assert (back.code, json.loads(back.stdout)["action"]) == (0, "start"), back.stderr
    assert run.returncode == 3, stderr
    result = RunResult.model_validate_json(stdout)
    assert "Keycloak" in result.summary
    assert seeded.call("warmci", "recover").code == 0
    assert realms_of(seeded, "25") == set()
    assert seeded.ledger() == Ledger()


def test_same_recipe_waits_for_its_lock_and_says_for_whom(seeded: Bench) -> None:
    holder = seeded.start("run_recipe_ci.py", "miniflux", "--ref", "good", "--pr", "9", "--quick", "--json")
    try:
        assert holder.stderr is not None
        assert "checkout" in holder.stderr.readline()
        busy = seeded.run("miniflux", "--ref", "good", "--quick", WARMCI_LOCK_WAIT_S="0")
        assert busy.code == 75, busy.stderr
        assert "held by run" in busy.stderr
    finally:
        stdout, stderr = holder.communicate(timeout=200)
    assert holder.returncode == 0, stderr
    assert json.loads(stdout)["verdict"] == "pass"


def test_secrets_appear_nowhere(seeded: Bench) -> None:
    canonical = seeded.store.load("miniflux")
    assert canonical is not None
    answer = seeded.run("miniflux", "--ref", "bad", "--pr", "8", "--quick")
    record = keycloak_json.load_live(seeded.settings)
    assert record is not None
    home = keycloak_json.generation_dir(seeded.settings, record.generation)
    keycloaks = [*keycloak_json.load_deployment(home).plain_secrets().values(), record.client_secret.get_secret_value()]
    secrets = [value.encode() for value in (*canonical.secrets.values(), *keycloaks)]
    run_dir = seeded.settings.runs_dir / answer.result.run
    texts = [answer.stdout.encode(), answer.stderr.encode()]
    texts += [path.read_bytes() for path in run_dir.rglob("*") if path.is_file()]
    assert not [text for text in texts for secret in secrets if secret in text]
    shown = seeded.call("warmci", "canonical", "show", "miniflux")
    assert shown.code == 0
    assert not [secret for secret in secrets if secret in shown.stdout.encode()]
