"""The loader against what `docker stack config` (CLI 28.2.2) made of the same files, kept in tests/data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from warmci.base.errors import RecipeFailedError
from warmci.recipe.compose import dump, load_compose

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


def projection(document: dict[str, Any]) -> dict[str, Any]:
    """What both forms say, in one shape."""

    def listed(items: list[Any] | None, *fields: str) -> list[tuple[str, ...]]:
        return sorted(tuple(str(item.get(field, "")) for field in fields) for item in items or [])

    services = {}
    for name, body in document["services"].items():
        deploy = body.get("deploy") or {}
        check = body.get("healthcheck") or {}
        services[name] = {
            "image": body["image"],
            "command": shlex.split(command) if isinstance(command := body.get("command"), str) else command,
            "environment": {k: v for k, v in (body.get("environment") or {}).items() if v is not None},
            "ports": listed(body.get("ports"), "target", "published", "protocol", "mode"),
            "volumes": listed(body.get("volumes"), "type", "source", "target", "read_only"),
            "networks": sorted(body.get("networks") or ["default"]),
            "secrets": listed(body.get("secrets"), "source", "target", "mode"),
            "configs": listed(body.get("configs"), "source", "target", "mode"),
            "labels": {str(k): str(v) for k, v in (body.get("labels") or {}).items()},
            "deploy labels": {str(k): str(v) for k, v in (deploy.get("labels") or {}).items()},
            "replicas": deploy.get("replicas"),
            "update": deploy.get("update_config"),
            "check": (check.get("test"), check.get("interval"), check.get("retries")),
        }
    names = {
        section: {
            key: (body or {}).get("name", "") for key, body in (document.get(section) or {}).items() if key != "default"
        }
        for section in ("secrets", "configs", "volumes", "networks")
    }
    return {"services": services, **names}


@pytest.mark.parametrize(
    ("files", "golden"), [(["compose.yml"], "one"), (["compose.yml", "sub/compose.more.yml"], "two")]
)
def test_like_docker_stack_config(files: list[str], golden: str) -> None:
    ours = projection(load_compose(DATA / "kitchen", files, ENV))
    docker = projection(yaml.safe_load((DATA / f"kitchen.{golden}.golden.yml").read_text(encoding="utf-8")))
    for section in ("secrets", "configs"):
        assert ours[section] == docker[section]
    for name, service in docker["services"].items():
        assert ours["services"][name] == service, name
    assert ours.keys() == docker.keys()


def test_the_rendered_file_means_the_same_when_read_again() -> None:
    document = load_compose(DATA / "kitchen", ["compose.yml"], ENV)
    again = yaml.safe_load(dump(document).replace("$$", "$"))
    assert again == document
    assert "5$$" in dump(document)


def write(tmp_path: Path, text: str, name: str = "compose.yml") -> Path:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a mapping"),
        ("- a\n", "not a mapping"),
        ("services:\n  app: {image: x\n", r"compose\.yml:\d+"),
        ("services: {}\n", "no services"),
        ("services: [app]\n", "services: Input should be a valid dictionary"),
        ("services: {app: nginx}\n", "services.app: Input should be"),
        ("services: {app: {image: '${X'}}\n", "services.app.image"),
        ("services: {app: {image: x, deploy: {replicas: '${NONE}'}}}\n", "not a number"),
        ("services: {app: {image: x, ports: '80'}}\n", "services.app.ports: Input should be a valid list"),
        ("services: {app: {image: x, ports: ['80-90:80-90']}}\n", "not a single port"),
        ("services: {app: {image: x, env_file: /etc/passwd}}\n", "outside the recipe"),
        ("services: {app: {image: x, env_file: ../x}}\n", "outside the recipe"),
        ("services: {app: {image: x}}\nconfigs: {c: {file: /etc/shadow}}\n", "outside the recipe"),
        ("services: {app: {image: x}}\nconfigs: {c: {file: ./none}}\n", "does not exist"),
        ("services: {app: {image: x}}\nsecrets: {c: {file: ../../etc/shadow}}\n", "outside the recipe"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeFailedError, match=words):
        load_compose(write(tmp_path, text), ["compose.yml"], {})


ODD_SHAPES = [
    "deploy: x",
    "deploy: [1]",
    "deploy: {update_config: x}",
    "deploy: {restart_policy: [1]}",
    "deploy: {restart_policy: {max_attempts: a}}",
    "deploy: {labels: 5}",
    "healthcheck: {test: [CMD, 'true'], retries: many}",
    "healthcheck: [x]",
    "extra_hosts: 5",
    "env_file: 5",
    'env_file: ["a\\\\u0000b"]',
    "networks: 5",
    "volumes: [{type: volume}]",
    "secrets: {a: b}",
    "environment: 5",
    "environment: {A: [1]}",
    "environment: {A: true}",
]


@pytest.mark.parametrize("odd", ODD_SHAPES)
def test_odd_shapes_of_a_service_are_the_recipes_fault(tmp_path: Path, odd: str) -> None:
    text = (
        "services:\n  app:\n    image: x\n    "
        + odd.replace("\\0", "\\u0000").replace("'a", '"a').replace("b']", 'b"]')
        + "\n"
    )
    with pytest.raises(RecipeFailedError):
        load_compose(write(tmp_path, text), ["compose.yml"], {})


ODD_SECTIONS = ["volumes: {v: x}", "networks: {n: x}", "secrets: {a: x}", "configs: {c: [1]}", "networks: 5"]


@pytest.mark.parametrize("odd", [*ODD_SECTIONS, "networks: {n: {labels: x}}"])
def test_odd_shapes_of_sections_are_the_recipes_fault(tmp_path: Path, odd: str) -> None:
    with pytest.raises(RecipeFailedError):
        load_compose(write(tmp_path, f"services: {{app: {{image: x}}}}\n{odd}\n"), ["compose.yml"], {})


def test_extra_hosts_of_both_forms(tmp_path: Path) -> None:
    for form in ("{b: 192.0.2.1}", "['b:192.0.2.1']"):
        document = load_compose(
            write(tmp_path, f"services: {{app: {{image: x, extra_hosts: {form}}}}}\n"), ["compose.yml"], {}
        )
        assert document["services"]["app"]["extra_hosts"] == ["b:192.0.2.1"]


def test_a_link_out_of_the_recipe_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "recipe"
    tree.mkdir()
    (tree / "x.tmpl").symlink_to("/etc/shadow")
    write(tree, "services: {app: {image: x}}\nconfigs: {c: {file: x.tmpl}}\n")
    with pytest.raises(RecipeFailedError, match="outside the recipe"):
        load_compose(tree, ["compose.yml"], {})


def test_missing_and_mismatched_files(tmp_path: Path) -> None:
    write(tmp_path, "version: '3.8'\nservices: {app: {image: x}}\n")
    with pytest.raises(RecipeFailedError, match=r"compose\.none\.yml does not exist"):
        load_compose(tmp_path, ["compose.yml", "compose.none.yml"], {})
    write(tmp_path, "version: '3.9'\nservices: {app: {image: y}}\n", "b.yml")
    with pytest.raises(RecipeFailedError, match="version mismatch"):
        load_compose(tmp_path, ["compose.yml", "b.yml"], {})


def test_shared_anchors_do_not_leak_changes(tmp_path: Path) -> None:
    text = "services:\n  a: &a {image: x, environment: {K: v}}\n  b: *a\n"
    document = load_compose(write(tmp_path, text), ["compose.yml"], {})
    document["services"]["a"]["environment"]["K"] = "changed"
    assert document["services"]["b"]["environment"]["K"] == "v"
