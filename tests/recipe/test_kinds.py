"""The kinds of recipes that verdicts went wrong on, side by side: the right answer of each, and the test that has it.

What needs no engine is tested here; the others are runs of tests/integration, each of them named, none of them twice.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from warmci.base import docker_cli
from warmci.base.errors import WarmciError
from warmci.recipe.render import Placement, read_env, render

TESTS = Path(__file__).parents[1]
PLACE = Placement("x", "x-1a2b3c.ci.example.org", 20001, "r", "i", dnsrr=False, own_stack="x-1a2b3c")
APP = """version: "3.8"
services:
  app:
    image: warmci-demo/busybox:1.35
    networks: [proxy]
    deploy:
      labels:
        traefik.enable: "true"
        traefik.http.routers.x.rule: Host(`${DOMAIN}`)
        traefik.http.services.x.loadbalancer.server.port: 8080
networks: {proxy: {external: true}}
"""


@dataclass(frozen=True)
class Refused:
    """A change of the recipe that is not deployed at all."""

    old: str
    new: str
    code: int
    words: str
    env: str = ""
    over: str = ""


IMAGE = "image: warmci-demo/busybox:1.35\n"
RULE = "Host(`${DOMAIN}`)"
REFUSED = {
    "a key given twice": Refused(IMAGE, IMAGE + "    image: x\n", 1, 'mapping key "image" already defined at line 4'),
    "an unknown key at the top": Refused(
        "networks: {", "include: [x]\nnetworks: {", 1, "property include is not allowed"
    ),
    "an unknown key of a service": Refused(IMAGE, IMAGE + "    profiles: [x]\n", 1, "property profiles is not allowed"),
    "a section emptied by comments": Refused(
        IMAGE, IMAGE + "    volumes:\n    # - x:/x\n", 1, "volumes must be a list"
    ),
    "an alternative of a set variable": Refused(RULE, "${DOMAIN:+on}", 1, "invalid interpolation format"),
    "a dollar that is not doubled": Refused(
        IMAGE, IMAGE + "    hostname: $(date)\n", 1, "invalid interpolation format"
    ),
    "a variable that must be set": Refused(
        IMAGE, "image: ${NONE:?say which}\n", 1, "NONE is missing a value: say which"
    ),
    "a default in a default": Refused(RULE, "${RULE:-Host(`${DOMAIN}`)}", 1, "Traefik makes no route"),
    "files of two formats": Refused(
        "", "", 1, "version mismatched", "COMPOSE_FILE=compose.yml:over.yml\n", "services: {}\n"
    ),
    "a file that is not there": Refused("", "", 1, "none.yml does not exist", "COMPOSE_FILE=compose.yml:none.yml\n"),
    "a config that is not there": Refused("networks: {", "configs: {c: {file: c}}\nnetworks: {", 1, "c does not exist"),
    "a quote that is never closed": Refused("", "", 1, ".env.sample:3: unterminated quoted value", 'A="open\n'),
    "a service's long name": Refused("  app:", f"  {'s' * 60}:", 2, "characters, Swarm allows 63"),
    "a host of somebody else": Refused(RULE, "Host(`www.other.org`)", 1, "a host outside"),
    "any host": Refused(RULE, "HostRegexp(`.+`)", 1, "a host outside"),
    "no port": Refused("services.x.loadbalancer.server.port: 8080", "x.y: z", 1, "Traefik makes no route"),
    "a routed service off the proxy's network": Refused(
        "[proxy]", "[own]", 1, "is routed, but not on the network proxy"
    ),
    "a directory of the host": Refused(IMAGE, IMAGE + "    volumes: ['/etc:/e']\n", 1, "mounts /etc of the host"),
    "a secret of another stack": Refused(
        "networks: {", "secrets: {s: {external: true}}\nnetworks: {", 1, "outside this stack"
    ),
}
"""By what is wrong with it: the exit code and telling words."""


@pytest.mark.parametrize("kind", REFUSED)
def test_a_kind_that_is_refused(tmp_path: Path, kind: str) -> None:
    case = REFUSED[kind]
    assert case.old in APP
    text = APP.replace(case.old, case.new, 1) if case.old else APP
    (tmp_path / "compose.yml").write_text(text.replace("networks: {", "networks: {own: , "), encoding="utf-8")
    (tmp_path / "over.yml").write_text(case.over, encoding="utf-8")
    (tmp_path / ".env.sample").write_text(f"TYPE=x\nDOMAIN=x.example.com\n{case.env}", encoding="utf-8")
    with pytest.raises(WarmciError) as caught:
        render(tmp_path, "0" * 40, read_env(tmp_path, PLACE, {}), PLACE, (), docker_cli.find(None))
    assert (caught.value.exit_code, case.words in caught.value.message) == (case.code, True), caught.value.message


def test_the_recipe_that_they_are_made_of_is_fine(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text(APP, encoding="utf-8")
    made = render(tmp_path, "0" * 40, read_env(tmp_path, PLACE, {}), PLACE, (), docker_cli.find(None))
    assert (made.route and made.route.port, made.unrouted) == (8080, "")


CONVERGES, NEVER = "convergence_real::test_what_converges", "convergence_real::test_what_never_will"
ROUTED, HOSTILE = "routes::test_the_routed_port_is_asked", "hostile::test_a_hostile_app"
READ, SPELT = "reading::test_a_recipe_of_many_ways_to_say_it", "reading::test_spellings_of_yaml_reach_the_engine"
MERGED = "recipe/test_compose::test_an_override_file_merges_as_with_the_cli"
RUNS = {
    "nothing is wrong": f"{ROUTED}[two-replicas]",
    "a service that ends with 0 for ever": f"{NEVER}[ends-",
    "a crash loop without a health check": f"{NEVER}[crash-",
    "a health check that never holds": f"{NEVER}[unhealthy-",
    "the app's own disk is full": f"{NEVER}[tmpfs-",
    "replicas: 0 beside an app": f"{CONVERGES}[no-replica-",
    "a global service that no node meets": f"{CONVERGES}[global-nowhere-",
    "more memory than any node has": "convergence_real::test_no_node_is_infrastructure[memory-",
    "a value over two lines, a dotted name, U+2028 in a comment": READ,
    "a branch of digits, a branch with #": READ,
    "hints of a secret by the variable in its name": READ,
    "octal, base 60, dates, yes": SPELT,
    "CRLF, a closing ---, a port range": SPELT,
    "an override of a variable by nothing, of the log's driver": SPELT,
    "an override of a health check's test": f"{MERGED}[healthcheck",
    "an encrypted network": f"{HOSTILE}[harmless]",
    "a registry that refuses connections": "pulls::test_a_registry_that_refuses_connections_is_infrastructure",
    "a registry that answers 429": "pulls::test_a_registry_in_trouble_is_infrastructure[429-",
    "an image that is nowhere": "pulls::test_an_image_that_is_not_in_its_registry_is_the_recipes_fault[",
    "only a TCP router": "routes::test_a_stream_alone_is_not_asked_and_this_is_said",
    "an https backend": "routes::test_an_https_backend_is_asked_over_https",
    "two ports, one of them the web's": f"{ROUTED}[two-ports]",
    "HostRegexp": f"{ROUTED}[host-regexp]",
    "a path prefix beside the rest": f"{ROUTED}[path-prefix]",
    "start-first": "routes::test_start_first_upgrades",
    "markup in an error": f"{HOSTILE}[markup]",
    "escapes in a log": f"{HOSTILE}[log-flood]",
    "gzip that is none": f"{HOSTILE}[bad-gzip]",
    "an event stream": f"{HOSTILE}[event-stream]",
    "an anonymous volume": "quick_retry::test_data_in_an_anonymous_volume_is_a_warning_and_its_loss_is_shown",
    "a mapping kept over a write": "quick_retry::test_a_red_quick_on_an_overlay_is_tried_on_a_copy",
    "no engine": "bad_input::test_no_engine",
    "a wrong name": "bad_input::test_directories_that_are_none",
    "a full disk": "bad_input::test_no_space",
}
"""By what it is to the test that has it run, or compared, for real."""


def test_every_other_kind_is_run_by_a_test_that_exists() -> None:
    wanted = {
        kind: f"tests/{'' if node.startswith('recipe/') else 'integration/test_'}{node.replace('::', '.py::', 1)}"
        for kind, node in RUNS.items()
    }
    files = sorted({node.partition("::")[0] for node in wanted.values()})
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(argv, cwd=TESTS.parent, env=env, capture_output=True, text=True, timeout=300, check=False)
    nodes = done.stdout.splitlines()
    missing = [kind for kind, wanted_node in wanted.items() if not any(node.startswith(wanted_node) for node in nodes)]
    assert missing == [], done.stdout[-2000:] + done.stderr[-2000:]
