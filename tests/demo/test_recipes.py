"""The demonstration's recipes as git sees them, and as a driver will read them."""

from __future__ import annotations

import re
import stat
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from warmci.base import process
from warmci.demo import images
from warmci.demo.recipes import instantiate
from warmci.recipe.config import load_config

if TYPE_CHECKING:
    from pathlib import Path

REFS = [
    ("custom-html", "1.0.0+1.35.0", "1.0.0+1.35.0"),
    ("custom-html", "1.1.0+1.35.0", "1.1.0+1.35.0"),
    ("keycloak", "1.0.0+26.7.3", "1.0.0+26.7.3"),
    ("lasuite-docs", "0.1.0+1.0.0", "0.1.0+1.0.0"),
    ("lasuite-docs", "0.2.0+1.1.0", "0.2.0+1.1.0"),
    ("lasuite-docs", "good", "0.3.0+1.2.1"),
    ("lasuite-docs", "bad", "0.3.0+1.2.0"),
    ("miniflux", "0.1.0+2.2.8", "0.1.0+2.2.8"),
    ("miniflux", "0.1.1+2.2.8", "0.1.1+2.2.8"),
    ("miniflux", "good", "0.2.0+2.2.13"),
    ("miniflux", "bad", "0.2.0+2.2.14"),
]
GIVEN = {"STACK_NAME", "DOMAIN", "EXTRA_DOMAINS"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("demo")
    instantiate(target)
    return target


def git(repository: Path, *arguments: str) -> str:
    return process.run(["git", "-C", str(repository), *arguments], timeout_s=30).stdout.strip()


def show(demo: Path, recipe: str, ref: str, path: str) -> str:
    return git(demo / "recipes" / recipe, "show", f"{ref}:{path}")


def compose(demo: Path, recipe: str, ref: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(show(demo, recipe, ref, "compose.yml"))
    return document


def test_repositories_are_real_and_reproducible(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "ignore").write_text(".env*\n*.tmpl\n", encoding="utf-8")
    (home / ".gitconfig").write_text("[user]\n\tname = Somebody\n[commit]\n\tgpgsign = true\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(home))
    instantiate(tmp_path / "again")
    for recipe in ("miniflux", "keycloak", "custom-html", "lasuite-docs"):
        refs = [git(root / "recipes" / recipe, "show-ref") for root in (demo, tmp_path / "again")]
        assert refs[0] == refs[1]
        assert git(demo / "recipes" / recipe, "symbolic-ref", "HEAD") == "refs/heads/main"
        assert git(demo / "recipes" / recipe, "status", "--porcelain") == ""


def test_releases_are_annotated_tags_and_branches_start_from_main(demo: Path) -> None:
    repository = demo / "recipes" / "miniflux"
    assert git(repository, "cat-file", "-t", "0.1.1+2.2.8") == "tag"
    assert git(repository, "rev-parse", "0.1.1+2.2.8^{commit}") == git(repository, "rev-parse", "main")
    for branch in ("good", "bad"):
        assert git(repository, "rev-parse", f"{branch}^") == git(repository, "rev-parse", "main")


def test_what_exists_is_left_alone(tmp_path: Path) -> None:
    instantiate(tmp_path)
    config = tmp_path / "operator" / "miniflux" / "recipe.toml"
    config.write_text("# mine\n", encoding="utf-8")
    git(tmp_path / "recipes" / "miniflux", "branch", "mine")
    instantiate(tmp_path)
    assert config.read_text(encoding="utf-8") == "# mine\n"
    assert "mine" in git(tmp_path / "recipes" / "miniflux", "branch")
    assert [path.name for path in (tmp_path / "recipes").iterdir() if path.name.startswith(".")] == []


def test_copies_are_writable_although_package_data_may_not_be(demo: Path) -> None:
    for path in (demo / "operator").rglob("*"):
        assert path.stat().st_mode & stat.S_IWUSR


@pytest.mark.parametrize(("recipe", "ref", "version"), REFS)
def test_compose_file_holds_together(demo: Path, recipe: str, ref: str, version: str) -> None:
    document = compose(demo, recipe, ref)
    app = document["services"]["app"]
    assert document["version"] == "3.8"
    labels = app["deploy"]["labels"]
    assert f"coop-cloud.${{STACK_NAME}}.version={version}" in labels
    assert "traefik.http.services.${STACK_NAME}.loadbalancer.server.port=8080" in labels
    assert document["networks"]["proxy"] == {"external": True}
    assert show(demo, recipe, ref, f"release/{version}")
    for service in document["services"].values():
        assert service["image"].startswith("warmci-demo/")
        assert service["healthcheck"]["interval"] == "2s"
        for section in ("configs", "secrets"):
            used = {item["source"] if isinstance(item, dict) else item for item in service.get(section, [])}
            assert used <= set(document.get(section, {}))
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= set(document["volumes"])
    for config in document["configs"].values():
        text = show(demo, recipe, ref, config["file"])
        assert set(re.findall(r'{{ secret "(\w+)" }}', text)) <= set(document.get("secrets", {}))
    for name, secret in document.get("secrets", {}).items():
        assert secret == {
            "external": True,
            "name": f"${{STACK_NAME}}_{name}_${{SECRET_{name.upper()}_VERSION}}",
        }
        assert len(f"_{name}_v1") <= 64 - 45, "Docker allows 64 characters, a stack name takes up to 45"


@pytest.mark.parametrize(("recipe", "ref", "version"), REFS)
def test_every_variable_has_a_value_or_a_default(demo: Path, recipe: str, ref: str, version: str) -> None:
    text = show(demo, recipe, ref, "compose.yml")
    sample = show(demo, recipe, ref, ".env.sample") + "\n" + show(demo, recipe, ref, "abra.sh")
    known = set(re.findall(r"^(?:export )?(\w+)=", sample, re.MULTILINE)) | GIVEN
    needed = set(re.findall(r"\$\{(\w+)\}", text)) | set(re.findall(r"^ +- ([A-Z_]+)$", text, re.MULTILINE))
    assert needed <= known


def changed(demo: Path, recipe: str, old: str, new: str) -> list[str]:
    return git(demo / "recipes" / recipe, "diff", "--name-only", old, new).splitlines()


def test_the_second_miniflux_release_changes_the_database_only(demo: Path) -> None:
    old, new = (compose(demo, "miniflux", ref) for ref in ("0.1.0+2.2.8", "0.1.1+2.2.8"))
    assert {name: body for name, body in old["services"]["app"].items() if name != "deploy"} == {
        name: body for name, body in new["services"]["app"].items() if name != "deploy"
    }
    assert "CREATE EXTENSION hstore" in show(demo, "miniflux", "0.1.0+2.2.8", "initdb.sql.tmpl")
    assert "EXTENSION" not in show(demo, "miniflux", "0.1.1+2.2.8", "initdb.sql.tmpl")
    assert "INITDB_VERSION=v2" in show(demo, "miniflux", "0.1.1+2.2.8", "abra.sh")


def test_docs_changes_image_and_label_only(demo: Path) -> None:
    steps = [("0.1.0+1.0.0", "0.2.0+1.1.0"), ("main", "good"), ("main", "bad")]
    versions = {"0.2.0+1.1.0": "0.2.0+1.1.0", "good": "0.3.0+1.2.1", "bad": "0.3.0+1.2.0"}
    for old, new in steps:
        version = versions[new]
        assert changed(demo, "lasuite-docs", old, new) == ["compose.yml", f"release/{version}"]
        image = compose(demo, "lasuite-docs", new)["services"]["backend"]["image"]
        assert image == f"warmci-demo/lasuite-docs:{version.rpartition('+')[2]}"
        assert image in images.IMAGES


@pytest.mark.parametrize(("branch", "image"), [("good", "2.2.13"), ("bad", "2.2.14")])
def test_the_pull_requests_change_image_and_label_only(demo: Path, branch: str, image: str) -> None:
    assert changed(demo, "miniflux", "main", branch) == ["compose.yml", f"release/0.2.0+{image}"]
    assert compose(demo, "miniflux", branch)["services"]["app"]["image"] == f"warmci-demo/miniflux:{image}"
    added = git(demo / "recipes" / "miniflux", "diff", "--numstat", "main", branch, "--", "compose.yml")
    assert added.split()[:2] == ["2", "2"]


def test_a_changed_config_has_a_new_version(demo: Path) -> None:
    names = changed(demo, "custom-html", "1.0.0+1.35.0", "1.1.0+1.35.0")
    assert names == ["abra.sh", "compose.yml", "index.html.tmpl", "release/1.1.0+1.35.0"]


@pytest.mark.parametrize("recipe", ["miniflux", "lasuite-docs"])
def test_the_operators_side_fits_the_recipes(demo: Path, recipe: str) -> None:
    config = load_config(demo / "operator", recipe)
    document = compose(demo, recipe, "main")
    assert config.needs == ("keycloak",)
    assert config.sso is not None
    assert set(config.sso.secrets) <= set(document["secrets"])
    text = show(demo, recipe, "main", "compose.yml")
    assert [name for name in (*config.env, *config.sso.env) if name not in text] == []
    assert load_config(demo / "operator", "keycloak").health_path == "/realms/master"
    assert not (demo / "operator" / "custom-html").exists()
    assert tomllib.loads((demo / "operator" / "keycloak" / "recipe.toml").read_text(encoding="utf-8"))["env"]
