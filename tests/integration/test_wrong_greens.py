"""Heads that would pass a careless check: each must be red, or say that it verified nothing."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from warmci.base.models import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.bench import Bench

pytestmark = pytest.mark.integration


def branch(bench: Bench, name: str, change: Callable[[str], str], path: str = "compose.yml") -> str:
    """A branch of custom-html, from its first release, with one file changed."""
    tree = bench.root / "demo" / "recipes" / "custom-html"
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "checkout", "-q", "-B", name, "1.0.0+1.35.0"], check=True)
    text = (tree / path).read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    (tree / path).write_text(changed, encoding="utf-8")
    subprocess.run([*git, "commit", "-qam", name], check=True)
    subprocess.run([*git, "checkout", "-q", "main"], check=True)
    return name


@pytest.fixture(scope="module")
def aged(bench: Bench) -> Bench:
    answer = bench.run("custom-html", "--ref", "1.0.0+1.35.0", "--reseed")
    assert answer.code == 0, answer.stderr
    return bench


def test_a_head_that_is_no_longer_routed_is_red(aged: Bench) -> None:
    name = branch(aged, "unrouted", lambda text: text.replace("traefik.enable=true", "traefik.enabled=true"))
    answer = aged.run("custom-html", "--ref", name, "--pr", "x1", "--quick")
    assert answer.code == 1, answer.stderr
    assert "the app is still routed" in answer.stderr
    assert "tried again" not in answer.stderr, "a copy would say the same"


def test_a_head_that_mounts_its_data_elsewhere_is_red(aged: Bench) -> None:
    name = branch(aged, "elsewhere", lambda text: text.replace("content:/srv/content", "content:/wrong"))
    answer = aged.run("custom-html", "--ref", name, "--pr", "x2", "--quick")
    assert answer.code == 1, answer.stderr
    assert "volume content is still at /srv/content" in answer.stderr
    assert "tried again" not in answer.stderr, "a copy would say the same"


def test_a_head_that_changes_no_service_is_not_verified_by_quick(aged: Bench) -> None:
    name = branch(aged, "words-only", lambda text: text + "\nMore words.\n", "README.md")
    answer = aged.run("custom-html", "--ref", name, "--pr", "x3", "--quick")
    assert answer.code == 6, answer.stderr


def test_a_crash_after_convergence_is_red(aged: Bench) -> None:
    """Swarm says completed: the monitor of quick is over when it dies."""
    old = 'command: ["httpd", "-f", "-p", "8080", "-h", "/srv"]'
    new = 'command: ["sh", "-c", "httpd -p 8080 -h /srv; sleep 1.3; exit 1"]'
    name = branch(aged, "dies-later", lambda text: text.replace(old, new))
    answer = aged.run("custom-html", "--ref", name, "--pr", "x4", "--quick")
    assert answer.code == 1, answer.stderr


def test_an_unbumped_config_is_red_on_upgrade(aged: Bench) -> None:
    name = branch(aged, "unbumped", lambda text: text + "<p>changed</p>\n", "index.html.tmpl")
    answer = aged.run("custom-html", "--ref", name, "--pr", "x5", "--quick")
    assert answer.code == 1, answer.stderr
    assert "only updates to Labels are allowed" in answer.stderr
    assert "tried again" not in answer.stderr, "a copy would say the same"


def test_an_older_release_never_moves_the_canonical_back(aged: Bench) -> None:
    assert aged.run("custom-html").code == 0
    before = aged.fingerprint("custom-html")
    answer = aged.run("custom-html", "--ref", "1.0.0+1.35.0")
    assert answer.code == 0, answer.stderr
    assert answer.result.promotion is not None
    assert answer.result.promotion.outcome == "skipped"
    assert aged.fingerprint("custom-html") == before


def test_anonymous_volumes_and_own_networks_leave_nothing(aged: Bench) -> None:
    before = {volume["Name"] for volume in aged.engine.volumes()}
    name = branch(
        aged, "anonymous", lambda text: text.replace("- content:/srv/content", "- content:/srv/content\n      - /anon")
    )
    answer = aged.run("custom-html", "--ref", name, "--pr", "x6", "--quick")
    assert answer.code == 0, answer.stderr
    assert {volume["Name"] for volume in aged.engine.volumes()} == before
    assert aged.ledger() == Ledger()


def test_a_foreign_stack_of_the_same_name_is_left_alone(aged: Bench) -> None:
    canonical = aged.store.load("custom-html")
    assert canonical is not None
    stack = canonical.domain.replace(".", "_")
    docker = ["docker", "-H", aged.settings.docker_host]
    compose = aged.root / "foreign.yml"
    compose.write_text(
        "version: '3.8'\nservices:\n  app:\n    image: warmci-demo/busybox:1.35\n    command: [sleep, '600']\n"
        "    deploy: {endpoint_mode: dnsrr}\n",
        encoding="utf-8",
    )
    subprocess.run([*docker, "stack", "deploy", "--resolve-image=never", "-c", str(compose), stack], check=True)
    try:
        answer = aged.run("custom-html", "--reseed")
        assert answer.code == 3, answer.stderr
        assert f"stack {stack} that is not this WarmCI's" in answer.stderr
        services = subprocess.run([*docker, "service", "ls", "-q"], check=True, capture_output=True, text=True).stdout
        assert services.strip()
    finally:
        subprocess.run([*docker, "stack", "rm", stack], check=True)
