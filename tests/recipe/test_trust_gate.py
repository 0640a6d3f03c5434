"""What a stranger's compose file may not ask for: each construct refused by its word, let in by it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from warmci.base import docker_cli
from warmci.base.errors import RefusedError
from warmci.recipe.compose import load_compose
from warmci.recipe.trust_gate import allow_line, check, findings

if TYPE_CHECKING:
    from pathlib import Path

STACK = "warm-demo_example"
DOMAIN = "warm-demo.example"


def loaded(tmp_path: Path, text: str) -> dict[str, Any]:
    (tmp_path / "compose.yml").write_text(text, encoding="utf-8")
    return load_compose(tmp_path, ["compose.yml"], {}, docker_cli.find(None))


def service(text: str) -> str:
    return f"services: {{app: {{image: x, {text}}}}}\n"


DANGEROUS = [
    (service("privileged: true"), "privileged:app"),
    (service("cap_add: [SYS_ADMIN]"), "cap_add:app"),
    (service("devices: [/dev/kmsg]"), "devices:app"),
    (service("pid: host"), "pid:app"),
    (service("ipc: host"), "ipc:app"),
    (service("network_mode: host"), "network_mode:app"),
    (service("security_opt: ['apparmor=unconfined']"), "security_opt:app"),
    (service("security_opt: ['no-new-privileges:true', 'seccomp:unconfined']"), "security_opt:app"),
    (service("sysctls: {net.ipv4.ip_forward: 1}"), "sysctls:app"),
    (service("credential_spec: {file: x}"), "credential_spec:app"),
    (service("build: ."), "build:app"),
    (service("deploy: {replicas: 201}"), "tasks:201"),
    (service("deploy: {replicas: 1000000000, mode: replicated-job}"), "tasks:1000000000"),
    ("services: {" + ", ".join(f"s{number}: {{image: x}}" for number in range(201)) + "}\n", "tasks:201"),
    (service("volumes: ['/:/host']"), "bind:/"),
    (service("volumes: ['/var/run/docker.sock:/s:ro']"), "bind:/var/run/docker.sock"),
    (service("volumes: ['./x:/x']"), "bind:./x"),
    (service("volumes: [{type: bind, source: /etc, target: /e}]"), "bind:/etc"),
    (service("volumes: [{type: npipe, source: p, target: /e}]"), "npipe:p"),
    (service("volumes: [{type: cluster, source: c, target: /e}]"), "cluster:c"),
    (service("") + "volumes: {v: {external: true}}", "volume:v"),
    (service("") + "volumes: {v: {external: {name: w}}}", "volume:v"),
    (service("") + "volumes: {v: {driver: rexray}}", "volume:v"),
    (service("") + "volumes: {v: {driver_opts: {type: none, o: bind, device: /}}}", "volume:v"),
    (service("") + "volumes: {v: {name: other_data}}", "volume:v"),
    (service("") + "networks: {n: {driver: macvlan, driver_opts: {parent: eth0}}}", "network:n"),
    (service("") + "networks: {n: {driver: overlay, driver_opts: {encrypted: '', x: y}}}", "network:n"),
    (service("") + "networks: {n: {driver: bridge, driver_opts: {encrypted: ''}}}", "network:n"),
    (service("") + "networks: {n: {external: true}}", "network:n"),
    (service("") + "networks: {n: {external: true, name: host}}", "network:host"),
    (service("") + "networks: {proxy: {external: true, name: host}}", "network:host"),
    (service("") + "networks: {n: {external: {name: other_internal}}}", "network:other_internal"),
    (service("") + "secrets: {s: {external: true}}", "secret:s"),
    (service("") + "secrets: {s: {external: true, name: other_db_v1}}", "secret:other_db_v1"),
    (service("") + "configs: {c: {external: true, name: other_c_v1}}", "config:other_c_v1"),
    (service("") + "configs: {c: {name: other_c_v1, file: compose.yml}}", "config:other_c_v1"),
]


@pytest.mark.parametrize(("text", "word"), DANGEROUS)
def test_refused_by_its_word_and_let_in_by_it(tmp_path: Path, text: str, word: str) -> None:
    document = loaded(tmp_path, text)
    with pytest.raises(RefusedError, match=r"^refused: ") as caught:
        check(document, STACK, DOMAIN, ["other:word", word.partition(":")[0]])
    assert f'allow = ["{word}"]' in str(caught.value.hint)
    assert caught.value.exit_code == 1
    assert check(document, STACK, DOMAIN, [word]) == [f"allowed by the operator: {word}"]


def test_what_recipes_usually_do_is_fine(tmp_path: Path) -> None:
    text = f"""
services:
  app:
    image: x
    cap_drop: [ALL]
    cap_add: []
    privileged: false
    networks: [proxy, internal]
    volumes: ["data:/data", "/anonymous", {{type: tmpfs, target: /tmp}}]
    secrets: [db]
    configs: [c]
volumes: {{data: , named: {{name: {STACK}_named}}, local: {{driver: local}}}}
networks: {{proxy: {{external: true}}, internal: , own: {{name: {STACK}_x}}}}
secrets: {{db: {{external: true, name: {STACK}_db_v1}}}}
configs: {{c: {{name: {STACK}_c_v1, file: compose.yml}}, plain: {{file: compose.yml}}}}
"""
    assert list(findings(loaded(tmp_path, text), STACK, DOMAIN)) == []
    assert check(loaded(tmp_path, text), STACK, DOMAIN, []) == []


def test_another_stack_whose_name_begins_like_ours_is_foreign(tmp_path: Path) -> None:
    document = loaded(tmp_path, service("") + f"secrets: {{s: {{external: true, name: {STACK}2_db_v1}}}}")
    with pytest.raises(RefusedError, match="outside this stack"):
        check(document, STACK, DOMAIN, [])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3))
def test_the_line_for_recipe_toml_is_toml(words: list[str]) -> None:
    assert tomllib.loads(allow_line(words)) == {"allow": words}


def test_all_refusals_are_told_at_once(tmp_path: Path) -> None:
    text = service("pid: host, cap_add: [NET_ADMIN], volumes: ['/etc:/etc']") + "volumes: {v: {driver_opts: {o: bind}}}"
    document = loaded(tmp_path, text)
    with pytest.raises(RefusedError) as caught:
        check(document, STACK, DOMAIN, ["pid:app"])
    assert 'allow = ["cap_add:app", "bind:/etc", "volume:v"]' in str(caught.value.hint)
    for word in ("services.app.cap_add", "mounts /etc of the host", "volumes.v has driver_opts (o)"):
        assert word in caught.value.message
    assert len(caught.value.log.splitlines()) == 3
    assert len(check(document, STACK, DOMAIN, ["pid:app", "cap_add:app", "bind:/etc", "volume:v"])) == 4


@pytest.mark.parametrize(
    "text",
    [
        service("security_opt: [no-new-privileges]"),
        service("security_opt: ['no-new-privileges:true', 'no-new-privileges=false']"),
        service("") + "networks: {n: {driver: overlay, driver_opts: {encrypted: 'true'}}}",
        service("") + "networks: {n: {driver_opts: {encrypted: ''}, attachable: true}}",
    ],
)
def test_what_narrows_or_encrypts_passes(tmp_path: Path, text: str) -> None:
    assert check(loaded(tmp_path, text), STACK, DOMAIN, []) == []


def test_the_message_names_service_and_key() -> None:
    document = yaml.safe_load("services: {db: {image: x, devices: [/dev/fuse]}}")
    with pytest.raises(RefusedError, match=r"services\.db\.devices"):
        check(document, STACK, DOMAIN, [])
