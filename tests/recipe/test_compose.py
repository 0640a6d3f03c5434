"""What a recipe's compose files come to, by Docker's own CLI: names, paths, merges, refusals, bounds."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from warmci.base import docker_cli
from warmci.base.errors import RecipeFailedError
from warmci.recipe.checkout_files import MAX_BYTES
from warmci.recipe.compose import load_compose, place_binds, secret_variables
from warmci.recipe.compose_text import dump, nested, read

DATA = Path(__file__).parents[1] / "data" / "compose"
ENV = {
    "DOMAIN": "k.example.org",
    "STACK_NAME": "k_example_org",
    "RETRIES": "7",
    "REPLICAS": "2",
    "SECRET_DB_PASSWORD_VERSION": "v3",
    "CONF_VERSION": "v9",
    "DOCKER_HOST": "tcp://socket-proxy:2375",
}


def loaded(tree: Path, text: str, *more: str, **scope: str) -> dict[str, Any]:
    """The document of compose.yml and of files 1.yml, 2.yml … that override it."""
    names = ["compose.yml", *(f"{number}.yml" for number in range(1, len(more) + 1))]
    for name, content in zip(names, (text, *more), strict=True):
        (tree / name).write_text(content, encoding="utf-8")
    return load_compose(tree, names, scope, docker_cli.find(None))


def app(tree: Path, text: str, *more: str, **scope: str) -> dict[str, Any]:
    """The service app, of which each text is the body in flow style."""
    bodies = [f"services: {{app: {{{body}}}}}\n" for body in (f"image: x, {text}", *more)]
    found: dict[str, Any] = loaded(tree, *bodies, **scope)["services"]["app"]
    return found


# --- like the CLI


@pytest.mark.parametrize(
    ("files", "golden"), [(["compose.yml"], "one"), (["compose.yml", "sub/compose.more.yml"], "two")]
)
def test_a_whole_file_is_as_the_cli_printed_it_once(files: list[str], golden: str) -> None:
    ours = load_compose(DATA / "kitchen", files, ENV, docker_cli.find(None))
    docker = yaml.safe_load((DATA / f"kitchen.{golden}.golden.yml").read_text(encoding="utf-8"))
    for service in docker["services"].values():
        service.pop("env_file", None)
    ours["configs"]["conf"]["file"] = docker["configs"]["conf"]["file"]
    for section in ("services", "networks", "volumes", "secrets", "configs"):
        assert ours[section] == docker[section], section


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${X:-Host(`${D}`)}", "Host(`${D`)}"),
        ("${X:-$D}7", "$D7"),
        ("$X-alpine", "alpine"),
        ("$D-alpine", "d.example"),
        ("${X:-$$2y}", "$$2y"),
        ("${X:-$2y$05}", "$2y$05"),
        ("${X:-$D}", "$D"),
        ("a$$D", "a$D"),
        ("${D}", "d.example"),
        ("${lower}", "case"),
    ],
)
def test_variables_as_the_cli_expands_them(tmp_path: Path, text: str, expected: str) -> None:
    assert app(tmp_path, f"hostname: '{text}'", D="d.example", lower="case")["hostname"] == expected


@pytest.mark.parametrize("text", ["${X:+y}", "${X+y}", "$", "${", "${X", "$-", "${1}", "${D!}"])
def test_what_the_cli_does_not_expand_is_refused_with_the_real_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeFailedError, match=r"compose\.yml: invalid interpolation format for services") as caught:
        app(tmp_path, f"hostname: '{text}'", X="1", D="2")
    assert text in caught.value.message
    assert "WARMCI_" not in caught.value.message


@pytest.mark.parametrize("text", ["${SECRET:?say one}", "${SECRET?say one}"])
def test_a_required_variable_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeFailedError, match="required variable SECRET is missing a value: say one"):
        app(tmp_path, f"hostname: '{text}'")


def test_a_value_is_taken_as_it_is(tmp_path: Path) -> None:
    value = "a ${B} $$ {c} 'd' \"e\": #f\n\tg \\ é 😀"
    assert app(tmp_path, "environment: {A: '${V}'}", V=value, B="no")["environment"] == {"A": value}


def test_no_variable_reaches_the_tool_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = tmp_path / "spy"
    spy.write_text(
        '#!/bin/sh\ntr "\\0" "\\n" </proc/self/environ >>"$0.env"\nexec ' + f'{docker_cli.find(None).path} "$@"\n'
    )
    spy.chmod(0o755)
    cli = docker_cli.DockerCli(spy, (99, 0))
    monkeypatch.setenv("HOME", "/of-the-operator")
    (tmp_path / "compose.yml").write_text("services: {app: {image: $DOCKER_HOST, hostname: '${LD_PRELOAD}'}}\n")
    scope = {"DOCKER_HOST": "tcp://evil", "LD_PRELOAD": "/evil.so", "UNUSED": "1"}
    document = load_compose(tmp_path, ["compose.yml"], scope, cli)
    assert document["services"]["app"]["image"] == "tcp://evil"
    seen = dict(line.split("=", 1) for line in Path(f"{spy}.env").read_text().splitlines())
    assert set(seen) - {"PWD", "_", "SHLVL"} == {name for name in seen if name.startswith("WARMCI_")}
    assert sorted(seen[name] for name in seen if name.startswith("WARMCI_")) == ["/evil.so", "tcp://evil"]


def test_keys_are_not_expanded_and_come_back(tmp_path: Path) -> None:
    assert app(tmp_path, "labels: {'$D.${X}': $D}", D="d")["labels"] == {"$D.${X}": "d"}


def test_a_variable_spelt_with_an_escape_is_unset_and_a_name_comes_back_real(tmp_path: Path) -> None:
    text = 'services: {app: {image: x, labels: {a: "\\x24{D}", b: "$\\\n  $D"}}}\n'
    assert loaded(tmp_path, text, D="d")["services"]["app"]["labels"] == {"a": "", "b": "$D"}


SCALARS = [
    ("22:15:00", "22:15:00"),
    ("12:30", "12:30"),
    ("1e3", "1000"),
    ("1.0", "1"),
    ("21000000.0", "2.1e+07"),
    ("1e400", "1e400"),
    ("0755", "493"),
    ("1_000", "1000"),
    ("12345678901234567890", "12345678901234567890"),
    ("2024-01-31", "2024-01-31 00:00:00 +0000 UTC"),
    ("yes", "yes"),
    ("'1e3'", "1e3"),
    ("'0755'", "0755"),
    ("'null'", "null"),
    ("'='", "="),
    ("'<<'", "<<"),
    ("'~'", "~"),
    ("' a '", " a "),
]


@pytest.mark.parametrize(("text", "expected"), SCALARS)
def test_scalars_as_go_reads_them_also_from_what_we_write(tmp_path: Path, text: str, expected: str) -> None:
    document = loaded(tmp_path, f"services: {{app: {{image: x, environment: {{A: {text}}}}}}}\n")
    assert document["services"]["app"]["environment"] == {"A": expected}
    assert loaded(tmp_path, dump(document)) == document


def test_casts_ports_and_other_long_forms(tmp_path: Path) -> None:
    found = app(
        tmp_path,
        "ports: [22:22, '3000-3002:3000-3002/udp'], deploy: {replicas: '${N}', labels: [a=b]}, stop_grace_period: 90s,"
        "dns: 1.1.1.1, tmpfs: /t, sysctls: [a.b=1], command: sh -c 'exit 1', read_only: '${RO}'",
        N="3",
        RO="yes",
    )
    assert [(port["published"], port["protocol"]) for port in found["ports"]] == [
        (22, "tcp"),
        (3000, "udp"),
        (3001, "udp"),
        (3002, "udp"),
    ]
    assert found["deploy"] == {"replicas": 3, "labels": {"a": "b"}}
    assert found["command"] == ["sh", "-c", "exit 1"]
    assert (found["dns"], found["tmpfs"], found["sysctls"]) == (["1.1.1.1"], ["/t"], {"a.b": "1"})
    assert (found["stop_grace_period"], found["read_only"]) == ("1m30s", True)


@pytest.mark.parametrize("end", ["\n---\n", "\n...\n", "\t# a tab\n", "\r\n", "\nx-own: {a: [1]}\n"])
def test_accepted_as_the_cli_does(tmp_path: Path, end: str) -> None:
    assert loaded(tmp_path, f"---\nservices: {{app: {{image: x}}}}{end}")["services"]["app"]["image"] == "x"


def test_crlf(tmp_path: Path) -> None:
    text = 'services:\r\n  app:\r\n    image: x\r\n    env_file: e\r\n    environment:\r\n      A: "${D}"\r\n'
    (tmp_path / "e").write_bytes(b"B=2\r\n")
    assert loaded(tmp_path, text, D="d")["services"]["app"]["environment"] == {"A": "d", "B": "2"}


# --- merges

MERGES = [
    ("environment: {A: base}", 'environment: {A: ""}', {"environment": {"A": "base"}}),
    ("read_only: true", "read_only: false", {"read_only": True}),
    (
        "healthcheck: {test: [CMD, a]}",
        "healthcheck: {test: [CMD, b]}",
        {"healthcheck": {"test": ["CMD", "a", "CMD", "b"]}},
    ),
    ("command: [a]", "command: [b]", {"command": ["b"]}),
    (
        "logging: {driver: json-file, options: {max-size: 1m}}",
        "logging: {driver: syslog, options: {a: b}}",
        {"logging": {"driver": "syslog", "options": {"a": "b"}}},
    ),
    ("dns: 1.1.1.1", "dns: [2.2.2.2]", {"dns": ["1.1.1.1", "2.2.2.2"]}),
    ("sysctls: [a=1]", "sysctls: {b: 2}", {"sysctls": {"a": "1", "b": "2"}}),
    ("networks: {n: {aliases: [a]}}", "networks: {n: {aliases: [b]}}", {"networks": {"n": {"aliases": ["b"]}}}),
    (
        "ports: ['80:1']",
        "ports: ['80:2']",
        {"ports": [{"mode": "ingress", "target": 2, "published": 80, "protocol": "tcp"}]},
    ),
    ("deploy: {replicas: 2}", "deploy: {replicas: 0}", {"deploy": {"replicas": 0}}),
]


@pytest.mark.parametrize(("base", "over", "expected"), MERGES)
def test_an_override_file_merges_as_with_the_cli(
    tmp_path: Path, base: str, over: str, expected: dict[str, Any]
) -> None:
    assert app(tmp_path, base, over) == {"image": "x", **expected}


def test_top_level_objects_are_replaced_whole(tmp_path: Path) -> None:
    base = "services: {app: {image: x}}\nvolumes: {v: {labels: {a: b}, driver_opts: {c: d}}}\n"
    assert loaded(tmp_path, base, "services: {}\nvolumes: {v: {name: n}}\n")["volumes"] == {"v": {"name": "n"}}


def test_a_dollar_survives_the_merge(tmp_path: Path) -> None:
    found = app(tmp_path, "environment: {A: $$a, B: '${V}', C: '${X:-$$c}'}", "hostname: $$h", V="$b${D}$$")
    assert (found["environment"], found["hostname"]) == ({"A": "$a", "B": "$b${D}$$", "C": "$$c"}, "$h")


REPEATED = [
    *(
        "cap_add: [A]",
        "cap_drop: [ALL]",
        "depends_on: [app]",
        "devices: ['/a:/b']",
        "dns: 1.1.1.1",
        "dns_search: [a.b]",
    ),
    *("expose: ['80']", "external_links: [z]", "extra_hosts: ['a:1.1.1.1']", "links: [z]", "tmpfs: [/t]"),
    *("security_opt: ['no-new-privileges:true']", "ports: ['80:80']", "volumes: ['/t']", "networks: [default]"),
    *("command: [a, a]", "sysctls: [a=b]", "labels: [a=b]", "healthcheck: {test: [CMD, a]}", "configs: [c]"),
]


@pytest.mark.parametrize("body", REPEATED)
def test_what_two_files_both_say_can_be_deployed(tmp_path: Path, body: str) -> None:
    (tmp_path / "f").write_text("x", encoding="utf-8")
    text = f"services: {{app: {{image: x, {body}}}}}\nconfigs: {{c: {{file: f}}}}\n"
    document = loaded(tmp_path, text, text)
    again = loaded(tmp_path, dump(document))
    key = body.partition(":")[0]
    once, twice = again["services"]["app"][key], document["services"]["app"][key]
    assert once in (twice, twice[: len(twice) // 2] if isinstance(twice, list) else None)


def test_an_empty_name_survives_the_merge_and_what_is_deployed(tmp_path: Path) -> None:
    """A line of a list that is a variable alone, which is not set."""
    body = "labels: ['$NONE', 'a=$$b', '$NONE=c'], environment: ['${NONE}', 'd=$$e', F], deploy: {labels: ['$NONE', g]}"
    found = app(tmp_path, body, "hostname: h")
    assert (found["labels"], found["deploy"]["labels"]) == ({"": "c", "a": "$b"}, {"": "", "g": ""})
    assert found["environment"] == {"": None, "d": "$e", "F": None}
    assert loaded(tmp_path, dump({"services": {"app": found}}))["services"]["app"] == found


def test_files_of_an_old_format_merge(tmp_path: Path) -> None:
    base = 'version: "3.3"\nservices: {app: {image: x}}\nnetworks: {proxy: {external: true}}\n'
    document = loaded(tmp_path, base, 'version: "3.3"\nservices: {db: {image: y}}\n')
    assert document["networks"] == {"proxy": {"name": "proxy", "external": True}}
    assert set(document["services"]) == {"app", "db"}
    assert loaded(tmp_path, dump(document)) == document


def test_versions_must_be_the_same(tmp_path: Path) -> None:
    services = "services: {app: {image: x}}\n"
    with pytest.raises(RecipeFailedError, match=r"version mismatched between two composefiles : 3\.8"):
        loaded(tmp_path, f"version: '3.8'\n{services}", services)


# --- a variable without a value


def test_names_without_a_value_have_the_recipes(tmp_path: Path) -> None:
    (tmp_path / "e").write_text("FROM_FILE=\nBARE\nKEPT=1\n", encoding="utf-8")
    found = app(
        tmp_path,
        "env_file: e, environment: {SET: , UNSET: , EMPTY: '', OWN: o, KEPT: }",
        SET="s",
        EMPTY="e",
        FROM_FILE="f",
        OWN="no",
    )
    assert found["environment"] == {"SET": "s", "UNSET": None, "EMPTY": "e", "FROM_FILE": "f", "OWN": "o", "KEPT": None}


def test_only_unset_names_and_an_override_without_them(tmp_path: Path) -> None:
    found = app(tmp_path, "environment: [A, B]", "environment: [B, C=1]")
    assert found["environment"] == {"A": None, "B": None, "C": "1"}


def test_a_name_without_a_value_overrides_by_the_recipes(tmp_path: Path) -> None:
    assert app(tmp_path, "environment: {A: base}", "environment: [A]", A="scope")["environment"] == {"A": "scope"}
    assert app(tmp_path, "environment: {A: base}", "environment: [A]")["environment"] == {"A": "base"}


# --- refused in the CLI's words

REFUSED = [
    ("services: {app: {image: x}}\ninclude: [a]\n", r"compose\.yml: \(root\) Additional property include"),
    ("services: {app: {image: x}}\nname: a\n", r"Additional property name is not allowed"),
    ("services:\n  app:\n    image: x\n    image: y\n", r'line 4: mapping key "image" already defined at line 3'),
    ("services:\n  app:\n    labels:\n      # none\n    image: x\n", r"services\.app\.labels must be a"),
    ("services: {app: {image: x\n", r"compose\.yml: yaml: "),
    ("services: {app: {image: x, deploy: {replicas: '${NONE}'}}}\n", "services.app.deploy.replicas.*failed to cast"),
    ("services: {app: {image: x, ports: '80'}}\n", "services.app.ports must be a"),
    ("services: {app: nginx}\n", "services.app must be a mapping"),
    ("", "must be a mapping"),
    ("- a\n", "must be a mapping"),
    ("services: {}\n", "no services"),
    ("services: {app: {image: x, extends: {file: /etc/passwd}}}\n", "forbidden|extends"),
    (
        "services: {app: {image: x}}\nsecrets: {c: {file: ../../etc/shadow}}\n",
        "secrets.c: ../../etc/shadow lies outside",
    ),
    ("services: {app: {image: x}}\nconfigs: {c: {file: /etc/shadow}}\n", "configs.c: /etc/shadow lies outside"),
    ("services: {app: {image: x}}\nconfigs: {c: {file: ./none}}\n", "configs.c: ./none does not exist"),
    ("services: {app: {image: x}}\nconfigs: {c: {}}\n", r"configs\.c: .* lies outside|no regular file"),
    ("services: {app: {image: x, environment: {A: [1]}}}\n", "services.app.environment"),
    ("services: {app: {image: x}}\nversion: '9'\n", "nsupported Compose file version"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeFailedError, match=words):
        loaded(tmp_path, text)


def test_of_several_files_the_one_at_fault_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeFailedError, match=r"^1\.yml: .*replicas"):
        app(tmp_path, "hostname: h", "deploy: {replicas: x}")
    with pytest.raises(RecipeFailedError, match=r"compose file: none\.yml does not exist"):
        load_compose(tmp_path, ["compose.yml", "none.yml"], {}, docker_cli.find(None))


# --- files


ENV_FILES = ["/etc/passwd", "../x", "sub/../../x", "link", "/dev/zero", "pipe", "${HIDE}", "/proc/self/environ"]
SPELLINGS = ["env_file: {}", "env_file: [{}]", '"env\\x5ffile": {}', "!!binary ZW52X2ZpbGU=: {}"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", ENV_FILES)
def test_an_env_file_that_is_none_of_the_recipes_is_never_read(tmp_path: Path, name: str, spelling: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "pipe")
    with pytest.raises(RecipeFailedError) as caught:
        app(tree, spelling.format(f"'{name}'"), HIDE="/etc/passwd")
    assert "root:" not in caught.value.message
    plain = "outside the recipe" in caught.value.message or "no regular file" in caught.value.message
    assert plain or "binary" in spelling


def test_an_env_file_behind_an_anchor_or_a_document_start(tmp_path: Path) -> None:
    for text in (
        "# c\n---\nx-a: &a {env_file: /etc/passwd}\nservices: {app: {<<: *a, image: x}}\n",
        "%YAML 1.1\n---\nservices:\n  app:\n    image: x\n    env_file:\n    - /etc/passwd\n...\n",
        "\ufeffservices:\n  app:\n    image: x\n    env_file: >-\n      /etc/passwd\n",
        "{services: {app: {image: x,\nenv_file: /etc/passwd}}}\n",
    ):
        with pytest.raises(RecipeFailedError, match="/etc/passwd lies outside the recipe"):
            loaded(tmp_path, text)


def test_a_line_is_named_as_it_is_in_the_file_also_beside_an_env_file(tmp_path: Path) -> None:
    text = "---\nservices:\n  app:\n    env_file: e\n    image: x\n    image: y\n"
    with pytest.raises(RecipeFailedError, match=r'line 6: mapping key "image" already defined at line 5'):
        loaded(tmp_path, text)


def test_a_nested_text_is_the_same_document() -> None:
    text = "# c\n--- # start\na:\n  b: |\n    x\n     y\n\n  c: 'd\n\n    e'\n? f\n: [g,\nh]\n---\nz: 1\n"
    assert read(nested(text, "x-k").encode())["x-k"] == next(iter(yaml.safe_load_all(text)))


def test_paths_of_a_file_in_a_subdirectory(tmp_path: Path) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    for path in ("sub/e", "sub/c", "top", "c"):
        (tmp_path / path).write_text(f"WHERE={path}\n", encoding="utf-8")
    text = (
        "services: {app: {image: x, env_file: e, volumes: ['./deep:/d', '../c:/c', '/etc:/e']}}\n"
        "configs: {c: {file: c}, t: {file: ../top}}\n"
    )
    (tmp_path / "sub" / "compose.yml").write_text(text, encoding="utf-8")
    document = load_compose(tmp_path, ["sub/compose.yml"], {}, docker_cli.find(None))
    service = document["services"]["app"]
    assert service["environment"] == {"WHERE": "sub/e"}
    assert document["configs"]["c"]["file"] == str(tmp_path / "sub" / "c")
    assert document["configs"]["t"]["file"] == str(tmp_path / "top")
    assert {volume["target"]: volume["source"] for volume in service["volumes"]} == {
        "/d": "./sub/deep",
        "/c": "./c",
        "/e": "/etc",
    }
    place_binds(document, tmp_path)
    assert {volume["target"]: volume["source"] for volume in service["volumes"]} == {
        "/d": str(tmp_path / "sub" / "deep"),
        "/c": str(tmp_path / "c"),
        "/e": "/etc",
    }


@pytest.mark.parametrize(
    ("source", "words"), [("../x", "lies outside"), ("./none", "does not exist"), ("./link", "lies outside")]
)
def test_a_relative_bind_stays_in_the_checkout(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "link").symlink_to("/etc")
    document = loaded(tmp_path, f"services: {{app: {{image: x, volumes: ['{source}:/x']}}}}\n")
    with pytest.raises(RecipeFailedError, match=words):
        place_binds(document, tmp_path)


@pytest.mark.parametrize(
    "name", ["../compose.yml", "/etc/passwd", "sub", "a\0b", "x" * 300, "loop", "sub/../../t/compose.yml"]
)
def test_compose_files_that_are_none(tmp_path: Path, name: str) -> None:
    tree = tmp_path / "t"
    (tree / "sub").mkdir(parents=True)
    (tree / "loop").symlink_to("loop")
    for place in (tree, tmp_path):
        (place / "compose.yml").write_text("services: {app: {image: x}}\n", encoding="utf-8")
    with pytest.raises(RecipeFailedError, match=r"^compose file: "):
        load_compose(tree, [name], {}, docker_cli.find(None))


def test_a_name_with_a_comma_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "a,b").mkdir()
    (tmp_path / "a,b" / "c,d.yml").write_text("services: {app: {image: x}}\n", encoding="utf-8")
    assert load_compose(tmp_path, ["a,b/c,d.yml"], {}, docker_cli.find(None))["services"]


# --- the variables in secrets' names

SECRETS = """---
secrets:
  pw: {external: true, name: "${STACK_NAME}_pw_${SECRET_DB_PW_VERSION}"}
  old: {external: {name: $STACK_NAME-x_$SECRET_OLD_VERSION}}
  folded:\t# a tab, which is no space to every reader
    external: true
    name: >-
      ${STACK_NAME:-st}_${A_VERSION:?say one}
  none: {external: true}
  empty:
---
"""
LATER = """
x-a: &a {name: "s_${ONE_VERSION}"}
x-b: &b {<<: *a, external: true}
secrets: {pw: {<<: *b}, new: {<<: [*b], external: {name: "x_${TWO_VERSION}"}}}
"""


def test_the_variables_in_a_secrets_name_are_told_by_the_cli(tmp_path: Path) -> None:
    for name, text in (("compose.yml", SECRETS), ("1.yml", LATER), ("2.yml", "services: {app: {image: $NONE}}\n")):
        (tmp_path / name).write_text(text, encoding="utf-8", newline="\r\n")
    cli = docker_cli.find(None)
    assert secret_variables(tmp_path, ["compose.yml"], cli) == {
        "pw": ["SECRET_DB_PW_VERSION", "STACK_NAME"],
        "old": ["STACK_NAME"],
        "folded": ["A_VERSION", "STACK_NAME"],
        "none": [],
        "empty": [],
    }
    found = secret_variables(tmp_path, ["compose.yml", "1.yml", "2.yml"], cli)
    assert (found["pw"], found["new"], found["old"]) == (["ONE_VERSION"], ["TWO_VERSION"], ["STACK_NAME"])


# --- bounds


def bomb(levels: int, wide: int) -> str:
    rows = [
        f"x-a{level}: &a{level} [{','.join([f'*a{level - 1}' if level else 'y'] * wide)}]\n" for level in range(levels)
    ]
    return "".join(rows)


COSTLY = {
    "aliases": (bomb(9, 9), "excessive aliasing"),
    "a long text many times": (f"x-s: &s {'y' * 100_000}\nx-l: [{','.join(['*s'] * 5000)}]\n", "takes too much"),
    "a value many times": (f"x-d: {'$A' * 80_000}\n", "takes too much"),
    "much output": (f"x-l: [{','.join(['&s ' + 'y' * 1000, *['*s'] * 9000])}]\n", "takes too much"),
    "nesting": (f"x-d: {'[' * 9000}{']' * 9000}\n", "nested too deeply"),
    "deeper nesting": (f"x-d: {'[' * 90_000}\n", "depth"),
    "a large file": (f"# {'y' * MAX_BYTES}\n", "larger than"),
    "many variables": ("".join(f"x-{n}: $V{n}\n" for n in range(30_000)), "variables with too much"),
}


@pytest.mark.parametrize("what", COSTLY)
def test_what_a_text_may_cost(tmp_path: Path, what: str) -> None:
    text, words = COSTLY[what]
    scope = {"A": "y" * 99_000} | ({f"V{n}": "x" * 50 for n in range(30_000)} if what == "many variables" else {})
    began = time.monotonic()
    with pytest.raises(RecipeFailedError, match=words) as caught:
        loaded(tmp_path, f"services: {{app: {{image: x}}}}\n{text}", **scope)
    assert time.monotonic() - began < 60
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize(("value", "words"), [("a\0b", "A holds a NUL byte"), ("y" * 200_000, "A is longer than")])
def test_values_that_no_environment_takes(tmp_path: Path, value: str, words: str) -> None:
    with pytest.raises(RecipeFailedError, match=words):
        app(tmp_path, "hostname: $A", A=value)


def test_more_files_than_anybody_has(tmp_path: Path) -> None:
    with pytest.raises(RecipeFailedError, match="COMPOSE_FILE names 65 files"):
        load_compose(tmp_path, ["compose.yml"] * 65, {}, docker_cli.find(None))


def test_nothing_is_left_in_the_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    app(tmp_path, "hostname: h")
    with pytest.raises(RecipeFailedError):
        app(tmp_path, "none: h")
    assert [path.name for path in tmp_path.iterdir()] == ["compose.yml"]


def test_what_is_deployed_is_what_was_read(tmp_path: Path) -> None:
    """The rendered file goes through the CLI's expansion again."""
    document = load_compose(DATA / "kitchen", ["compose.yml"], ENV, docker_cli.find(None))
    path = tmp_path / "rendered.yml"
    path.write_text(dump(document), encoding="utf-8")
    argv = [str(docker_cli.find(None).path), "--config", str(tmp_path / "none"), "stack", "config", "-c", str(path)]
    again = read(subprocess.run(argv, env={}, check=True, capture_output=True).stdout)
    assert {key: value for key, value in again.items() if key != "version"} == document


@pytest.mark.parametrize("digits", [1, 19, 20, 308, 309, 400, 4_300, 4_301, 60_000])
def test_a_string_of_digits_stays_one_however_long_it_is(tmp_path: Path, digits: int) -> None:
    """Go quotes what it would read as a number, which ends with the float64; Python's integers end at 4,300 digits."""
    document = loaded(tmp_path, 'services: {app: {image: x, environment: {X: "$A"}}}\n', A="7" * digits)
    assert document["services"]["app"]["environment"]["X"] == "7" * digits
    assert read(dump(document).encode()) == document
