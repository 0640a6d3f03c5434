"""Hostile recipes against the real engine: each run ends in time, in little memory, with the right verdict."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from support import hostile
from support.bench import BIN, Bench
from warmci.base.errors import RecipeFailedError
from warmci.base.models import RunResult, Verdict
from warmci.swarm import containers, noticeboard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

MEMORY = 512 * 2**20
CPU_S = 60
IMAGE = "warmci-demo/busybox:1.35"
PAGE = "mkdir -p /www; echo ok > /www/index.html; exec httpd -f -p 8080 -h /www"
OK = r"HTTP/1.0 200 OK\r\n"
EVIL = (
    r"plain [/bold] [red]x \033]0;owned\007\033[2J\n::set-env name=x::y\n::stop-commands::z\n##[error]z\n"
    r"\000\342\200\256\302\205\355\240\200\140\140\140 ]]> </pre>\nfatal: gone [/]\n"
)


def answering(head: str, then: str = "") -> str:
    """A server that sends the head and does `then` at each connection."""
    script = f"#!/bin/sh\nprintf '{head}'\n{then}"
    return f"cat > /s <<'END'\n{script}\nEND\nchmod +x /s\nwhile :; do nc -l -p 8080 -e /s; done"


def compose(command: str, service: dict[str, Any] | None = None, **top: Any) -> str:
    """A routed app; JSON is YAML, and what the recipe's author means by a dollar is two."""
    labels = {
        "traefik.enable": "true",
        "traefik.http.routers.${STACK_NAME}.rule": "Host(`${DOMAIN}`)",
        "traefik.http.services.${STACK_NAME}.loadbalancer.server.port": "8080",
        "coop-cloud.${STACK_NAME}.version": "0.1.0+1.0",
    }
    app = {
        "image": IMAGE,
        "command": ["sh", "-c", command.replace("$", "$$")],
        "networks": ["proxy"],
        "deploy": {"labels": [f"{key}={value}" for key, value in labels.items()]},
    }
    services = {"app": app | (service or {}), **top.pop("more", {})}
    networks = {"proxy": {"external": True}, **top.pop("networks", {})}
    return json.dumps({"version": "3.8", "services": services, "networks": networks, **top}, indent=1)


@dataclass(frozen=True)
class Case:
    text: str
    verdict: Verdict = Verdict.PASS
    said: str = ""


FLOOD = f"i=0; while [ $i -lt 20000 ]; do printf '{EVIL}'; i=$((i+1)); done; exit 3"
SLOW = r"while sleep 1; do printf 'X: y\r\n'; done"
GZIP = OK + r"Content-Encoding: gzip\r\n\r\n"
BOMB = "mkdir -p /www; head -c 1000000000 /dev/zero | gzip > /www/b\n"
CHATTY = {"image": IMAGE, "command": ["sh", "-c", FLOOD.replace("$", "$$")], "networks": ["proxy"]}
BROKEN = {"image": IMAGE, "entrypoint": "[/docker-entrypoint.sh]"}
OPTIONS = {"v": {"driver_opts": {"type": "none", "o": "bind", "device": "[/etc]"}}}
CASES = {
    "endless-body": Case(compose(answering(OK + r"\r\n", "cat /dev/zero"))),
    "event-stream": Case(compose(answering(OK + r"Content-Type: text/event-stream\r\n\r\n", "sleep 300"))),
    "gzip-bomb": Case(compose(BOMB + answering(GZIP, "cat /www/b"))),
    "redirect-loop": Case(compose(answering(r"HTTP/1.0 302 Found\r\nLocation: /\r\n\r\n"))),
    "slow-headers": Case(compose(answering(OK, SLOW)), Verdict.FAIL, "does not serve"),
    "endless-headers": Case(compose(answering(OK, "yes X:yyyyyyyyyyyyyyyyyyyyyyy")), Verdict.FAIL, "does not serve"),
    "bad-gzip": Case(compose(answering(GZIP, "echo no")), Verdict.FAIL, "its body is not the gzip"),
    "log-flood": Case(compose(PAGE, more={"a": CHATTY}), Verdict.FAIL),
    "one-line": Case(compose("head -c 50000000 /dev/zero; exit 3"), Verdict.FAIL),
    "markup": Case(compose(PAGE, more={"a": BROKEN}), Verdict.FAIL, "[/docker-entrypoint.sh]"),
    "refused": Case(
        compose(PAGE, {"cap_add": ["SYS_ADMIN"]}, volumes=OPTIONS), Verdict.REFUSED, "volumes.v has driver_opts"
    ),
    "harmless": Case(
        compose(
            PAGE,
            {"security_opt": ["no-new-privileges:true"]},
            networks={"internal": {"driver": "overlay", "driver_opts": {"encrypted": "true"}}},
        )
    ),
}


def git(path: Path, *arguments: str) -> None:
    who = {f"GIT_{role}_{what}": "x@x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], cwd=path, env=os.environ | who, check=True, capture_output=True)


def recipe_at(bench: Bench, name: str, text: str) -> Path:
    """A recipe's repository with a branch `pr` checked out, nothing committed there yet."""
    path = bench.root / "demo" / "recipes" / name
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    git(path, "commit", "--quiet", "--allow-empty", "--message=begin")
    git(path, "checkout", "--quiet", "-b", "pr")
    (path / "compose.yml").write_text(text)
    (path / ".env.sample").write_text(f"TYPE={name}\nDOMAIN={name}.example.com\n")
    return path


def bounded_run(bench: Bench, name: str) -> tuple[RunResult, str]:
    """The result and what a CI's log shows; the run may have 512 MiB of memory and 60 s of CPU."""
    argv = [
        "prlimit",
        f"--data={MEMORY}",
        f"--cpu={CPU_S}",
        str(BIN / "run_recipe_ci.py"),
        name,
        "--ref",
        "pr",
        "--pr",
        "x1",
    ]
    before, began = set(bench.settings.runs_dir.glob("[0-9]*")), time.monotonic()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, env=bench.env(), capture_output=True, text=True, timeout=240, check=False)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used.ru_utime
    assert spent < CPU_S
    assert time.monotonic() - began < 200
    (made,) = set(bench.settings.runs_dir.glob("[0-9]*")) - before
    result = RunResult.model_validate_json((made / "result.json").read_bytes())
    assert done.returncode == result.exit_code
    for text in (done.stdout + done.stderr, *((made / file).read_text() for file in ("report.html", "junit.xml"))):
        assert hostile.unseen(text) == []
        assert hostile.commands(text) == []
    ET.parse(made / "junit.xml")  # noqa: S314  (our own)
    return result, done.stderr


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_app(bench: Bench, name: str) -> None:
    case = CASES[name]
    path = recipe_at(bench, f"hostile-{name}", case.text)
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message=head")
    result, log = bounded_run(bench, f"hostile-{name}")
    assert result.verdict is case.verdict, log
    assert case.said in result.summary


def test_a_commit_with_a_file_of_a_gigabyte(bench: Bench) -> None:
    path = recipe_at(bench, "hostile-large", compose(PAGE))
    with (path / "large").open("wb") as file:
        file.truncate(2**30)
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message=head")
    result, log = bounded_run(bench, "hostile-large")
    assert result.verdict is Verdict.FAIL, log
    assert "large has 1073741824 bytes" in result.summary


def test_a_commit_of_a_hundred_thousand_files(bench: Bench) -> None:
    path = recipe_at(bench, "hostile-many", compose(PAGE))
    git(path, "add", "--all")
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=path, input="x", text=True, capture_output=True, check=True
    ).stdout.strip()
    index = "".join(f"100644 {blob}\tf{number}\n" for number in range(100_000))
    subprocess.run(["git", "update-index", "--index-info"], cwd=path, input=index, text=True, check=True)
    git(path, "commit", "--quiet", "--message=head")
    result, log = bounded_run(bench, "hostile-many")
    assert result.verdict is Verdict.FAIL, log
    assert "files" in result.summary


@pytest.mark.parametrize(
    ("link", "target"), [(".env.sample", "/etc/passwd"), ("compose.yml", "/dev/zero"), ("abra.sh", "/etc/shadow")]
)
def test_a_link_that_leads_out(bench: Bench, link: str, target: str) -> None:
    name = f"hostile-link-{link.strip('.').partition('.')[0]}"
    path = recipe_at(bench, name, compose(PAGE))
    (path / link).unlink(missing_ok=True)
    (path / link).symlink_to(target)
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message=head")
    result, log = bounded_run(bench, name)
    assert result.verdict is Verdict.FAIL, log
    assert link in result.summary
    assert "root:" not in log


def test_a_config_of_a_recipe_is_no_notice_of_a_node(bench: Bench, tmp_path: Path) -> None:
    plan = {"org.warmci.notice": "plan", "org.warmci.node": "stranger", "org.warmci.subject": "sweep"}
    service = {"image": IMAGE, "command": ["sleep", "300"], "configs": ["plan"]}
    text = json.dumps(
        {"version": "3.8", "services": {"app": service}, "configs": {"plan": {"file": "p", "labels": plan}}}
    )
    (tmp_path / "compose.yml").write_text(text, encoding="utf-8")
    (tmp_path / "p").write_text('["demo"]', encoding="utf-8")
    docker = ["docker", "--host", bench.settings.docker_host, "stack"]
    deploy = [*docker, "deploy", "--resolve-image=never", "-c", str(tmp_path / "compose.yml"), "planting"]
    subprocess.run(deploy, check=True, capture_output=True, timeout=60)
    noticeboard.put_up(bench.engine, "plan", "ours", "sweep", "[]")
    try:
        assert len(bench.engine.configs(["org.warmci.notice"])) == 2
        assert [notice.node for notice in noticeboard.read(bench.engine, "plan")] == ["ours"]
    finally:
        noticeboard.take_down(bench.engine, "ours", "plan")
        subprocess.run([*docker, "rm", "planting"], check=True, capture_output=True, timeout=60)
    assert bench.engine.configs(["org.warmci.notice"]) == []


@pytest.fixture
def service(bench: Bench) -> Iterator[str]:
    """Of the stack `hostile`: one container, which is told from others by its label."""
    docker = ["docker", "-H", bench.settings.docker_host]
    label = "com.docker.swarm.service.name=hostile_app"
    argv = [*docker, "run", "--detach", "--network", "none", "--label", label, IMAGE, "sh", "-c", "echo up; sleep 9999"]
    made = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield "app"
    finally:
        subprocess.run([*docker, "rm", "--force", made], check=True, capture_output=True)


def test_the_log_of_a_container_that_runs_is_what_there_is(bench: Bench, service: str) -> None:
    """Not followed: a red run looks into each of its services."""
    (running,) = bench.engine.service_containers("hostile", service)
    began = time.monotonic()
    assert "up" in bench.engine.container_logs(running["Id"], 25)
    assert time.monotonic() - began < containers.LOG_MAX_S / 2


def test_what_an_exec_says_has_an_end(bench: Bench, service: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RecipeFailedError, match=f"cat in service app says more than {containers.EXEC_MAX} bytes"):
            bench.engine.exec_in_service("hostile", service, ["cat", "/dev/zero"])
        assert tracemalloc.get_traced_memory()[1] < 4 * containers.EXEC_MAX
    finally:
        tracemalloc.stop()
    argv = ["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; exit 3"]
    assert bench.engine.exec_in_service("hostile", service, argv) == (3, "x" * 1_000_000)


def test_an_exec_has_a_deadline(bench: Bench, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "EXEC_MAX_S", 2.0)
    began = time.monotonic()
    for script in ("echo begun; sleep 9999", "while :; do echo begun; sleep 0.1; done"):
        with pytest.raises(RecipeFailedError, match=r"no end after 2 s; the last that it said: (?s:.*)begun"):
            bench.engine.exec_in_service("hostile", service, ["sh", "-c", script])
    assert time.monotonic() - began < 60
