"""Recipes through a real Traefik, on a private engine: routes as recipes write them, and what goes wrong with them.

Run by `make test-ingress`: Traefik's image takes five minutes of two processors where no registry has it.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from warmci.base import authority, http, names
from warmci.base.errors import InfraError, UsageError
from warmci.demo import images
from warmci.live import ingress, ingress_json, keycloak
from warmci.live.plan import Action
from warmci.live.traefik_api import TraefikApi
from warmci.report.console import Console
from warmci.swarm.undeploy import undeploy_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from support.bench import Answer, Bench
    from warmci.sso.admin_rest import KeycloakAccess

pytestmark = pytest.mark.ingress
QUIET = Console(quiet=True)
SERVE = "mkdir -p /www; {more}exec httpd -f -p 8080 -h /www"
HEAD = """version: "3.8"
services:
"""
TAIL = """networks:
  proxy:
    external: true
"""


@pytest.fixture(scope="session")
def routed(bench: Bench) -> Iterator[Bench]:
    """The bench with a live Traefik."""
    images.provide_images(bench.engine, [images.TRAEFIK], images.default_cache_dir(), print)
    done = ingress.reconcile(bench.settings, QUIET)
    assert done.action is Action.DEPLOY
    yield bench
    ingress.take_down(bench.settings, QUIET)
    assert bench.ledger().stacks == ()


@pytest.fixture
def browser(routed: Bench) -> Iterator[httpx.Client]:
    settings = routed.settings
    with http.client(
        base_domain=settings.base_domain, address=settings.ingress_address, ca=authority.authority(settings)
    ) as client:
        yield client


def service(name: str, labels: list[str], command: str, more: str = "") -> str:
    lines = "".join(f"        - {json.dumps(label)}\n" for label in ["traefik.enable=true", *labels])
    argv = json.dumps(["sh", "-c", command.replace("$", "$$")])
    return (
        f"  {name}:\n    image: warmci-demo/busybox:1.35\n    init: true\n    networks: [proxy]\n"
        f"    command: {argv}\n    deploy:\n{more}      labels:\n{lines}"
    )


def rule(text: str, router: str = "${STACK_NAME}") -> str:
    return f"traefik.http.routers.{router}.rule={text}"


def port(number: int, name: str = "${STACK_NAME}") -> str:
    return f"traefik.http.services.{name}.loadbalancer.server.port={number}"


BALANCER = "traefik.http.services.${STACK_NAME}.loadbalancer"
DOMAIN = rule("Host(`${DOMAIN}`)")
VERSION = "coop-cloud.${STACK_NAME}.version=0.1.0+1.0"


def recipe(bench: Bench, name: str, *versions: str) -> None:
    """A repository of the test's own: each version but the last is a release on main, the last is the branch pr."""
    tree = bench.root / "demo" / "recipes" / name
    tree.mkdir()
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for number, text in enumerate(versions, 1):
        if number == len(versions):
            subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "main"], check=True)
            subprocess.run([*git, "checkout", "-q", "-b", "pr"], check=True)
        (tree / "compose.yml").write_text(HEAD + text + TAIL, encoding="utf-8")
        (tree / ".env.sample").write_text("TYPE=x\nDOMAIN=x.example.com\n", encoding="utf-8")
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", f"version {number}"], check=True)
        if number < len(versions):
            subprocess.run([*git, "tag", "-a", "-m", "r", f"0.{number}.0+1.0"], check=True)
    subprocess.run([*git, "checkout", "-q", "main"], check=True)


def run(bench: Bench, name: str, *versions: str) -> Answer:
    recipe(bench, name, *versions)
    return bench.run(name, "--ref", "pr", "--pr", "x1")


def page(text: str = "ok") -> str:
    return SERVE.format(more=f"echo {text} > /www/index.html; ")


# --- routes that are right


def test_the_url_is_https_at_the_domain_and_nothing_of_ours_is_published(routed: Bench) -> None:
    answer = run(routed, "r-plain", service("app", [DOMAIN, port(8080), VERSION], page()))
    assert answer.code == 0, answer.stderr
    assert answer.result.dependencies["ingress"].startswith("traefik, live-warm ")
    assert any(text.startswith("ingress traefik: app:8080") for text in answer.result.deviations)
    assert not any("published on" in text for text in answer.result.deviations)


def tls_backend(*labels: str) -> str:
    """An app that speaks https alone, with a certificate that nobody signed: Traefik's own ping page."""
    flags = [
        "--entrypoints.own.address=:8443",
        "--entrypoints.own.http.tls=true",
        "--ping=true",
        "--ping.entrypoint=own",
    ]
    text = service("app", [DOMAIN, port(8443), VERSION, f"{BALANCER}.server.scheme=https", *labels], "")
    argv, flag_list = json.dumps(["sh", "-c", ""]), json.dumps([*flags, "--global.checknewversion=false"])
    return (
        text.replace("warmci-demo/busybox:1.35", images.TRAEFIK)
        .replace(argv, flag_list)
        .replace("    init: true\n", "")
    )


def test_a_backend_that_speaks_https_alone(routed: Bench) -> None:
    recipe_toml = routed.root / "demo" / "operator" / "r-tls"
    recipe_toml.mkdir()
    (recipe_toml / "recipe.toml").write_text('health_path = "/ping"\n')
    answer = run(routed, "r-tls", tls_backend(f"{BALANCER}.serverstransport=selfsigned@file"))
    assert answer.code == 0, answer.stderr


def test_a_backend_whose_certificate_traefik_does_not_trust_is_told(routed: Bench) -> None:
    answer = run(routed, "r-tls-refused", tls_backend())
    assert answer.code == 1, answer.stderr
    assert "HTTP 500 of Traefik itself: Traefik and the service do not understand each other" in answer.result.summary


def test_two_ports_of_which_another_entry_point_has_the_first(routed: Bench) -> None:
    federation = [
        rule("Host(`${DOMAIN}`)", "${STACK_NAME}_fed"),
        "traefik.http.routers.${STACK_NAME}_fed.entrypoints=federation",
        "traefik.http.routers.${STACK_NAME}_fed.service=${STACK_NAME}_fed",
        port(8448, "${STACK_NAME}_fed"),
    ]
    web = ["traefik.http.routers.${STACK_NAME}.service=${STACK_NAME}", DOMAIN, port(8080), VERSION]
    answer = run(routed, "r-two-ports", service("app", [*federation, *web], page()))
    assert answer.code == 0, answer.stderr


def test_a_rule_that_is_a_regular_expression(routed: Bench) -> None:
    labels = [rule("HostRegexp(`^(www\\.)?${DOMAIN}$$`)"), port(8080), VERSION]
    answer = run(routed, "r-regexp", service("app", labels, page()))
    assert answer.code == 0, answer.stderr


def test_the_root_is_another_services_than_the_api(routed: Bench) -> None:
    api = SERVE.format(more="mkdir /www/api; echo api > /www/api/index.html; ")
    app = service("app", [rule("Host(`${DOMAIN}`) && PathPrefix(`/api`)"), port(8080), VERSION], api)
    web = service("web", [rule("Host(`${DOMAIN}`)", "${STACK_NAME}_web"), port(8080, "${STACK_NAME}_web")], page("web"))
    answer = run(routed, "r-prefix", app + web)
    assert answer.code == 0, answer.stderr


def test_tcp_alone_is_not_asked_and_said(routed: Bench) -> None:
    labels = [
        "traefik.tcp.routers.${STACK_NAME}.rule=HostSNI(`${DOMAIN}`)",
        "traefik.tcp.routers.${STACK_NAME}.tls=true",
        "traefik.tcp.services.${STACK_NAME}.loadbalancer.server.port=8080",
        VERSION,
    ]
    answer = run(routed, "r-tcp", service("app", labels, page()))
    assert answer.code == 0, answer.stderr
    assert any("not asked, because it has only TCP routers" in text for text in answer.result.deviations)


@pytest.mark.parametrize("replicas", [1, 2])
def test_start_first_with_roll_back(routed: Bench, replicas: int) -> None:
    block = (
        f"      replicas: {replicas}\n      update_config:\n        order: start-first\n"
        "        failure_action: rollback\n        parallelism: 1\n"
    )
    old, new = (
        service("app", [DOMAIN, port(8080), VERSION.replace("0.1", f"0.{number}")], f": {number}; {page()}", block)
        for number in (1, 2)
    )
    answer = run(routed, f"r-start-first-{replicas}", old, new)
    assert answer.code == 0, answer.stderr
    assert answer.result.base_version == "0.1.0+1.0"


# --- routes that are wrong


def test_a_middleware_that_is_not_there_is_quoted_in_traefiks_words(routed: Bench) -> None:
    labels = [DOMAIN, "traefik.http.routers.${STACK_NAME}.middlewares=away@file", port(8080), VERSION]
    answer = run(routed, "r-middleware", service("app", labels, page()))
    assert answer.code == 1, answer.stderr
    assert "HTTP 404 of Traefik itself: no router of Traefik takes it" in answer.result.summary
    assert 'middleware "away@file" does not exist' in answer.result.summary


def test_a_port_that_nobody_listens_on_is_told_from_an_error_of_the_apps(routed: Bench) -> None:
    answer = run(routed, "r-port", service("app", [DOMAIN, port(8081), VERSION], page()))
    assert answer.code == 1, answer.stderr
    assert "HTTP 502 of Traefik itself: Traefik does not reach the service on its port" in answer.result.summary


def test_an_apps_own_404_is_the_apps(routed: Bench) -> None:
    answer = run(routed, "r-empty", service("app", [DOMAIN, port(8080), VERSION], SERVE.format(more="")))
    assert answer.code == 1, answer.stderr
    assert "last: HTTP 404" in answer.result.summary
    assert "of Traefik itself" not in answer.result.summary.partition("Traefik says")[0]


def test_a_redirect_to_itself_serves_nobody(routed: Bench) -> None:
    """What an app does that insists on https and does not read X-Forwarded-Proto."""
    answers = r'printf "Status: 301 Moved\\r\\nLocation: https://%s/\\r\\n\\r\\n" "$HTTP_HOST"'
    script = f"mkdir -p /www/cgi-bin; f=/www/cgi-bin/index.cgi; cat > $f <<'E'\n#!/bin/sh\n{answers}\nE\nchmod +x $f; "
    script += "exec httpd -f -p 8080 -h /www"
    answer = run(routed, "r-loop", service("app", [DOMAIN, port(8080), VERSION], script))
    assert answer.code == 1, answer.stderr
    assert "10 redirects without an end" in answer.result.summary


# --- the demo's recipes


def test_custom_html_is_seeded_and_drilled_behind_traefik(routed: Bench) -> None:
    answer = routed.run("custom-html", "--reseed")
    assert answer.code == 0, answer.stderr
    canonical = routed.store.load("custom-html")
    assert canonical is not None
    assert (canonical.ingress, canonical.port) == ("traefik", 443)
    drill = routed.call("warmci", "canonical", "drill", "custom-html")
    assert drill.code == 0, drill.stderr


def test_another_ingress_makes_the_canonical_anew(routed: Bench) -> None:
    assert routed.run("custom-html").code == 0
    answer = routed.run("custom-html", WARMCI_INGRESS="direct")
    assert answer.code == 0, answer.stderr
    said = "the canonical was born under ingress traefik, and runs now take direct: it is made anew"
    assert said in answer.stderr
    canonical = routed.store.load("custom-html")
    assert canonical is not None
    assert canonical.ingress == "direct"


def test_miniflux_logs_in_by_https_and_keeps_its_users_over_the_upgrade(routed: Bench, live_keycloak: object) -> None:
    assert live_keycloak
    first = routed.run("miniflux", "--ref", "0.1.1+2.2.8")
    assert first.code == 0, first.stderr
    quick = routed.run("miniflux", "--ref", "good", "--pr", "7", "--quick")
    assert quick.code == 0, quick.stderr
    assert quick.result.ran == "quick", quick.result.because


def test_docs_in_its_production_configuration_logs_in_through_traefik(
    routed: Bench, live_keycloak: KeycloakAccess
) -> None:
    """It redirects what is not https, and its cookies are secure: without a proxy only its development one works.

    Its backend asks Keycloak by https, too, and trusts our CA.
    """
    assert live_keycloak.url == f"https://warm-keycloak.{routed.settings.base_domain}"
    needed = [tag for tag, image in images.IMAGES.items() if image.name in {"lasuite-docs", "nginx", "redis"}]
    images.provide_images(routed.engine, needed, images.default_cache_dir(), print)
    answer = routed.run("lasuite-docs", "--ref", "0.2.0+1.1.0")
    assert answer.code == 0, answer.stderr
    passed = {test.name for stage in answer.result.stages for test in stage.tests if test.outcome == "passed"}
    assert "test_lasuite_docs::test_documents_are_kept" in passed
    assert not any("mixed" in said for said in answer.result.deviations)


def test_keycloak_goes_where_the_ingress_goes(routed: Bench, live_keycloak: KeycloakAccess) -> None:
    """Its URL is in every token: it is deployed anew, on its data, where the ingress is another one."""
    direct = routed.settings.model_copy(update={"ingress": "direct"})
    moved = keycloak.reconcile(direct, QUIET)
    assert moved.action is Action.START
    assert moved.url.startswith("http://warm-keycloak.")
    mixed = routed.run("miniflux", "--ref", "good", "--pr", "8", "--quick")
    assert mixed.code == 0, mixed.stderr
    assert "mixed: Keycloak speaks http, the app https" in mixed.result.deviations
    back = keycloak.reconcile(routed.settings, QUIET)
    assert (back.action, back.url) == (Action.START, live_keycloak.url)
    assert keycloak.reconcile(routed.settings, QUIET).action is Action.UNCHANGED


# --- the live one itself


def test_a_browser_trusts_it_and_plain_http_leads_to_https(routed: Bench, browser: httpx.Client) -> None:
    base = routed.settings.base_domain
    answer = browser.get(f"http://anything.{base}/x")
    assert (answer.status_code, answer.headers["location"]) == (301, f"https://anything.{base}/x")
    assert browser.get(f"https://anything.{base}/x").text == "404 page not found\n"


def test_its_api_wants_a_password(routed: Bench, browser: httpx.Client) -> None:
    record = ingress_json.load_ingress(routed.settings)
    assert record is not None
    assert browser.get(f"{record.url}/api/version").status_code == 401
    assert TraefikApi.of(routed.settings, record).version()
    secrets = json.dumps(routed.engine.secrets()) + json.dumps(routed.engine.services())
    assert record.password.get_secret_value() not in secrets


def test_a_second_reconcile_has_nothing_to_do_and_a_lost_one_is_started(routed: Bench) -> None:
    assert ingress.reconcile(routed.settings, QUIET).action is Action.UNCHANGED
    stack = names.stack_name(names.ingress_domain(routed.settings.base_domain))
    undeploy_stack(routed.engine, stack, graceful=False)
    with pytest.raises(InfraError, match="the live Traefik does not serve"):
        ingress.choose(routed.settings, routed.engine, "any")
    refused = routed.run("custom-html")
    assert refused.code == 3, "Traefik's absence is nobody's recipe's fault"
    assert ingress.reconcile(routed.settings, QUIET).action is Action.START


def test_another_certificate_is_taken_over(routed: Bench) -> None:
    before = ingress_json.load_ingress(routed.settings)
    authority._make_served(routed.settings)
    assert ingress.reconcile(routed.settings, QUIET).action is Action.START
    after = ingress_json.load_ingress(routed.settings)
    assert before is not None
    assert after is not None
    assert after.fingerprint == authority.served(routed.settings).fingerprint != before.fingerprint


def release(bench: Bench, version: str, old: str, new: str) -> None:
    tree = bench.root / "demo" / "recipes" / "traefik"
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    text = (tree / "compose.yml").read_text(encoding="utf-8")
    assert old in text
    (tree / "compose.yml").write_text(text.replace(old, new).replace("version=1.0.", f"version={version[:4]}"))
    subprocess.run([*git, "commit", "-qam", version], check=True)
    subprocess.run([*git, "tag", "-a", "-m", version, version], check=True)


def test_an_upgrade_that_does_not_serve_goes_back_and_one_that_does_stays(routed: Bench) -> None:
    """The last of this file: the recipe has two more releases afterwards."""
    release(routed, "1.0.1+3.6.1", 'web-secure"\n', 'nowhere"\n')
    with pytest.raises(InfraError, match=r"upgrade of Traefik to 1\.0\.1\+3\.6\.1 failed: .*1\.0\.0\+3\.6\.1 is back"):
        ingress.reconcile(routed.settings.model_copy(update={"deploy_timeout_s": 15.0}), QUIET)
    record = ingress_json.load_ingress(routed.settings)
    assert record is not None
    assert record.version == "1.0.0+3.6.1"
    assert TraefikApi.of(routed.settings, record).version()
    assert ingress.reconcile(routed.settings, QUIET).action is Action.HOLD
    release(routed, "1.0.2+3.6.1", 'nowhere"\n', 'web-secure"\n')
    assert ingress.reconcile(routed.settings, QUIET).action is Action.UPGRADE


def test_a_host_that_has_a_traefik_uses_that_and_gets_no_second(routed: Bench, tmp_path: Path) -> None:
    """The live one, seen by the WarmCI of another state directory, is the host's own."""
    ca = tmp_path / "ca.pem"
    ca.write_text(authority.authority(routed.settings))
    other = {"WARMCI_STATE_DIR": str(tmp_path / "other"), "SSL_CERT_FILE": str(ca)}
    seen = routed.call("warmci", "ingress", "status", "--json", **other)
    assert seen.code == 0, seen.stderr
    assert json.loads(seen.stdout)["said"].startswith("traefik, the host's own: ")
    refused = routed.call("warmci", "ingress", "reconcile", **other)
    assert refused.code == UsageError.exit_code
    assert "publishes port 443" in refused.stderr
    distrusted = routed.call("warmci", "ingress", "status", WARMCI_STATE_DIR=str(tmp_path / "third"))
    assert distrusted.code == InfraError.exit_code
    assert "is not trusted" in distrusted.stderr
