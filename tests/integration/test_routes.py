"""Recipes as they route in the wild, through the ingress `direct`: one engine, one small recipe for each kind."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import own_recipes
from warmci.base.models import Ledger
from warmci.demo import images

if TYPE_CHECKING:
    from support.bench import Answer, Bench

pytestmark = pytest.mark.integration

HOME = "Host(`${DOMAIN}`)"
SERVE = "mkdir -p /www; echo {text} > /www/index.html; exec httpd -f -p 8080 -h /www"


@dataclass(frozen=True)
class App:
    """One service: its labels after `traefik.`, what it runs, what its deploy section has beside."""

    labels: tuple[str, ...]
    script: str = SERVE.format(text="ok")
    deploy: str = ""


def web(rule: str = HOME, port: int = 8080, *more: str, name: str = "") -> tuple[str, ...]:
    key = f"${{STACK_NAME}}{name}"
    service = f"http.services.{key}.loadbalancer.server.port={port}"
    return "enable=true", f"http.routers.{key}.rule={rule}", service, *more


def compose(apps: dict[str, App], version: str) -> str:
    services = {}
    for name, app in apps.items():
        labels = [f"traefik.{label}" for label in app.labels]
        labels += [f"coop-cloud.${{STACK_NAME}}.version={version}"] if name == "app" else []
        services[name] = {
            "image": "warmci-demo/busybox:1.35",
            "command": ["sh", "-c", app.script],
            "networks": ["proxy"],
            "volumes": ["data:/data"],
            "deploy": {"labels": labels},
        }
    outside = {"networks": {"proxy": {"external": True}}, "volumes": {"data": {}}}
    text = json.dumps({"version": "3.8", "services": services, **outside}, indent=1)
    extra = apps["app"].deploy
    return text.replace('"deploy": {', f'"deploy": {{{extra}, ', 1) if extra else text


def recipe(bench: Bench, name: str, head: dict[str, App], base: dict[str, App] | None = None) -> None:
    """A repository with base's release on main, where there is one, and the head on the branch pr."""
    tree = bench.root / "demo" / "recipes" / name
    tree.mkdir()
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    (tree / ".env.sample").write_text("TYPE=x\nDOMAIN=x.example.com\n", encoding="utf-8")
    for branch, apps, version in (("main", base, "0.1.0+1.0"), ("pr", head, "0.2.0+1.0")):
        if branch == "pr":
            subprocess.run([*git, "checkout", "-q", "-b", "pr"], check=True)
        if apps is not None:
            (tree / "compose.yml").write_text(compose(apps, version), encoding="utf-8")
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", branch], check=True)
        if branch == "main" and base is not None:
            subprocess.run([*git, "tag", version], check=True)


def run(bench: Bench, name: str) -> Answer:
    return bench.run(name, "--ref", "pr", "--pr", "x1")


PASS = {
    "host-regexp": {"app": App(web("HostRegexp(`^(www.)?${DOMAIN}`)"))},
    "two-ports": {
        "app": App(
            (
                *web(HOME, 8448, "http.routers.${STACK_NAME}_fed.entrypoints=federation", name="_fed"),
                f"http.routers.${{STACK_NAME}}.rule={HOME}",
                "http.routers.${STACK_NAME}.service=${STACK_NAME}",
                "http.routers.${STACK_NAME}_fed.service=${STACK_NAME}_fed",
                "http.services.${STACK_NAME}.loadbalancer.server.port=8080",
            )
        )
    },
    "path-prefix": {
        "app": App(web(f"{HOME} && PathPrefix(`/api`)", 9999), "exec sleep 3600"),
        "web": App(web(name="_web")),
    },
    "two-replicas": {"app": App(web(), deploy='"replicas": 2')},
}


@pytest.mark.parametrize("name", PASS)
def test_the_routed_port_is_asked(bench: Bench, name: str) -> None:
    recipe(bench, name, PASS[name])
    answer = run(bench, name)
    assert answer.code == 0, answer.stderr
    assert "not asked" not in answer.stdout
    assert any("behind port" in said for said in answer.result.deviations)
    assert bench.ledger() == Ledger()


def test_a_stream_alone_is_not_asked_and_this_is_said(bench: Bench) -> None:
    labels = ("enable=true", "tcp.routers.${STACK_NAME}.rule=HostSNI(`*`)")
    recipe(bench, "tcp-only", {"app": App((*labels, "tcp.services.${STACK_NAME}.loadbalancer.server.port=8080"))})
    answer = run(bench, "tcp-only")
    assert answer.code == 0, answer.stderr
    assert any("not asked over HTTP, because it has only TCP routers" in stage.detail for stage in answer.result.stages)


def test_a_port_where_nothing_listens_is_red(bench: Bench) -> None:
    recipe(bench, "wrong-port", {"app": App(web(HOME, 8081))})
    answer = run(bench, "wrong-port")
    assert answer.code == 1, answer.stderr
    assert "HTTP 503: no task answers at the routed port" in answer.result.summary


NGINX = """
events {}
http {
  server {
    listen 8443 ssl;
    ssl_certificate /run/configs/pair.pem;
    ssl_certificate_key /run/configs/pair.pem;
    location / { return 200 ok; }
  }
}
"""


def test_an_https_backend_is_asked_over_https(bench: Bench, tmp_path: Path) -> None:
    """Asked over plain HTTP nginx would have 400 for it."""
    needed = [tag for tag, image in images.IMAGES.items() if image.name == "nginx"]
    images.provide_images(bench.engine, needed, images.default_cache_dir(), print)
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "1"]
    files = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run([*make, "-keyout", files[0], "-out", files[1]], check=True, capture_output=True)
    nginx = own_recipes.web(
        image=needed[0],
        command=["nginx", "-c", "/run/configs/nginx.conf", "-g", "daemon off;"],
        configs=[{"source": name, "target": f"/run/configs/{name}"} for name in ("nginx.conf", "pair.pem")],
    )
    labels = nginx["services"]["app"]["deploy"]["labels"]
    server = "traefik.http.services.${STACK_NAME}.loadbalancer.server"
    labels |= {f"{server}.port": "8443", f"{server}.scheme": "https"}
    nginx["configs"] = {name: {"file": name} for name in ("nginx.conf", "pair.pem")}
    texts = {"nginx.conf": NGINX, "pair.pem": files[0].read_text() + files[1].read_text()}
    answer = run(bench, own_recipes.make_recipe(bench, "https-backend", nginx, files=texts))
    assert answer.code == 0, answer.stderr


def test_start_first_upgrades(bench: Bench) -> None:
    base = {"app": App(web(), deploy=_start_first())}
    recipe(bench, "start-first", {"app": App(web(), SERVE.format(text="two"), _start_first())}, base)
    answer = run(bench, "start-first")
    assert answer.code == 0, answer.stderr
    assert "0.1.0+1.0 → 0.2.0+1.0" in answer.stdout
    assert bench.ledger() == Ledger()


def test_start_first_rolls_back(bench: Bench) -> None:
    base = {"app": App(web(), "touch /data/old; " + SERVE.format(text="one"), _start_first())}
    crash = "[ ! -e /data/old ] || { echo cannot migrate; exit 1; }; "
    head = {"app": App(web(), crash + SERVE.format(text="two"), _start_first())}
    recipe(bench, "start-first-bad", head, base)
    answer = bench.run("start-first-bad", "--ref", "pr", "--pr", "x1")
    assert answer.code == 1, answer.stderr
    assert "cannot migrate" in answer.stdout
    assert bench.ledger() == Ledger()


def test_https_unless_recipe_toml_says_http_and_a_canonical_is_of_one_of_them(bench: Bench) -> None:
    operator = bench.settings.recipes_dir / "secure"
    operator.mkdir()
    obedient = (
        "mkdir -p /www; echo ok | tee /www/index.html > /data/x; httpd -f -p 8080 -h /www & trap 'exit 0' TERM; wait"
    )
    recipe(bench, "secure", {"app": App(web(), obedient)})
    first = run_with_scheme(bench, "https")
    assert "made anew" not in first.stderr
    (operator / "recipe.toml").write_text('scheme = "http"\n', encoding="utf-8")
    quick = bench.run("secure", "--ref", "pr", "--quick", "--pr", "x2")
    said = "the canonical was born at a URL of https, and runs now speak http"
    assert said in (quick.result.because or "")
    assert f"{said}: it is made anew" in run_with_scheme(bench, "http").stderr


def run_with_scheme(bench: Bench, scheme: str) -> Answer:
    """A run of trusted code, whose tests see that scheme; it makes the canonical."""
    asserted = f"app.url.startswith('{scheme}://') and app.client.get('/').text == 'ok\\n'"
    test = f"def test_it(app):\n    assert {asserted}\n"
    (bench.settings.recipes_dir / "secure" / "test_secure.py").write_text(test, encoding="utf-8")
    answer = bench.run("secure")
    assert answer.code == 0, answer.stderr
    outcomes = [outcome for stage in answer.result.stages for outcome in stage.tests if "test_it" in outcome.name]
    assert [outcome.outcome for outcome in outcomes] == ["passed"]
    canonical = bench.store.load("secure")
    assert canonical is not None
    assert (canonical.ingress, canonical.scheme) == ("direct", scheme)
    return answer


def _start_first() -> str:
    return '"update_config": {"order": "start-first", "failure_action": "rollback", "monitor": "2s"}'


def test_a_killed_run_leaves_no_proxy(bench: Bench) -> None:
    recipe(bench, "killed-route", {"app": App(web(HOME, 8081))})
    with bench.start("run_recipe_ci.py", "killed-route", "--ref", "pr", "--pr", "x1") as process:
        end = time.monotonic() + 60
        while not _proxies(process.pid):
            assert time.monotonic() < end, "no proxy was started"
            time.sleep(0.1)
        proxies = _proxies(process.pid)
        process.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in proxies):
        assert time.monotonic() < end, f"haproxy {proxies} outlives its run"
        time.sleep(0.05)


def _proxies(parent: int) -> list[int]:
    done = subprocess.run(["pgrep", "-x", "haproxy", "-P", str(parent)], capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]
