"""Containers reach their own https URL by the CA of this host: requests, OpenSSL's defaults and a real Java."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from warmci.base.models import Ledger
from warmci.demo import images

if TYPE_CHECKING:
    from support.bench import Answer, Bench

pytestmark = pytest.mark.integration
PYTHON = "warmci-demo/lasuite-docs:1.0.0"
JAVA = next(tag for tag, image in images.IMAGES.items() if image.name == "keycloak")
LABELS = (
    "traefik.enable=true",
    "traefik.http.routers.${STACK_NAME}.rule=Host(`${DOMAIN}`)",
    "traefik.http.services.${STACK_NAME}.loadbalancer.server.port=8080",
    "coop-cloud.${STACK_NAME}.version=0.1.0+1.0",
)
TESTS = """
import pytest

REQUESTS = "import sys, requests; print(requests.get(sys.argv[1]).status_code)"
PLAIN = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).status)"

def python(app, code):
    return app.exec("app", ["python3", "-c", code, app.url + "/"]).strip()

def test_requests(app):
    assert python(app, REQUESTS) == "200"

def test_openssl(app):
    assert python(app, PLAIN) == "200"

"""
JAVA_TEST = '''
def test_java(app):
    """Keycloak's own client: what it says of a server that is no Keycloak, once it trusts it."""
    script = "/opt/keycloak/bin/kcadm.sh get x --no-config --server $0 --realm r --user u --password p 2>&1; true"
    said = app.exec("java", ["bash", "-c", script, app.url])
    assert "valid certification path" not in said, said
    assert "501 Unsupported method" in said, "as Python's server says to a POST"
'''


def run(bench: Bench, name: str, config: str, tests: str, *others: str) -> Answer:
    images.provide_images(bench.engine, [PYTHON], images.default_cache_dir(), print)
    tree, operator = bench.root / "demo" / "recipes" / name, bench.settings.recipes_dir / name
    for path in (tree, operator):
        path.mkdir()
    serve = ["python3", "-m", "http.server", "8080", "--directory", "/usr/share"]
    services = {
        "app": {"image": PYTHON, "command": serve, "networks": ["proxy"], "deploy": {"labels": LABELS}},
        "java": {"image": JAVA, "entrypoint": ["sleep", "3600"], "init": True, "networks": ["proxy"]},
    }
    chosen = {name: body for name, body in services.items() if name in ("app", *others)}
    document = {"version": "3.8", "services": chosen, "networks": {"proxy": {"external": True}}}
    (tree / "compose.yml").write_text(json.dumps(document))
    (tree / ".env.sample").write_text("TYPE=x\nDOMAIN=x.example.com\n")
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    (operator / "recipe.toml").write_text(f'scheme = "https"\n{config}\n')
    (operator / "test_trust.py").write_text(tests)
    return bench.run(name, "--ref", "main", "--pr", "x1")


def outcomes(answer: Answer) -> dict[str, str]:
    found = {test.name.rpartition("::")[2]: test.outcome for stage in answer.result.stages for test in stage.tests}
    return {name: str(outcome) for name, outcome in found.items() if name.startswith("test_")}


def test_containers_trust_our_ca(bench: Bench) -> None:
    answer = run(bench, "trusting", 'trust = ["variables", "java"]', TESTS + JAVA_TEST, "java")
    assert answer.code == 0, answer.stderr
    assert outcomes(answer) == dict.fromkeys(("test_requests", "test_openssl", "test_java"), "passed")
    assert any(said.startswith("own CA: /etc/warmci/ca.pem in each container") for said in answer.result.deviations)
    assert bench.ledger() == Ledger()


def test_in_place_of_the_systems(bench: Bench) -> None:
    """And nothing else is done: requests, which has a list of its own, does not trust it then."""
    answer = run(bench, "trusting-system", 'trust = ["system"]', TESTS)
    assert answer.code == 1, answer.stderr
    assert outcomes(answer) == {"test_requests": "failed", "test_openssl": "passed"}
