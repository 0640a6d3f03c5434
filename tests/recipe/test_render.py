"""From a checkout to what is deployed: secrets, volumes, versions, the app's .env, and what an upgrade changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from warmci.base import docker_cli
from warmci.base.errors import RecipeFailedError, UsageError
from warmci.recipe.render import Placement, Rendered, read_env, render
from warmci.recipe.replaced import changed_services

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DOMAIN = "warm-demo.example"
STACK = "warm-demo_example"
PLACEMENT = Placement("demo", DOMAIN, 20001, "r1", "i1", dnsrr=False)
COMPOSE = """
version: "3.8"
services:
  app:
    image: nginx:1.2
    environment: {DOMAIN: null, OWN: "${OWN:-default}", TYPE: recipe}
    networks: [proxy, internal]
    volumes: ["data:/data"]
    secrets: [db_password]
    configs: [{source: conf, target: /c}]
    deploy:
      labels:
        - "traefik.enable=true"
        - "traefik.http.routers.${STACK_NAME}.rule=Host(`${DOMAIN}`)"
        - "traefik.http.services.${STACK_NAME}.loadbalancer.server.port=80"
        - "coop-cloud.${STACK_NAME}.version=1.0.0+1.2"
  db:
    image: postgres:16
    networks: [internal]
    volumes: ["pg:/var/lib", {type: volume, source: named, target: /n}]
    secrets: [db_password]
networks: {proxy: {external: true}, internal: }
volumes: {data: , pg: {}, named: {name: "${STACK_NAME}_real"}}
secrets: {db_password: {external: true, name: "${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}"}}
configs: {conf: {name: "${STACK_NAME}_conf_${CONF_VERSION}", file: conf.tmpl}}
"""
ENV = "TYPE=demo\nDOMAIN=demo.example.com\nSECRET_DB_PASSWORD_VERSION=v1 # length=20 charset=hex\nPORT=1\n"
SCRIPT = "export CONF_VERSION=v1\nexport SHELL_ONLY=$(date)\n"


class Recipe:
    """A checkout that a test changes."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.write(compose=COMPOSE, env=ENV, script=SCRIPT)

    def write(self, *, compose: str | None = None, env: str | None = None, script: str | None = None) -> None:
        self.tree.mkdir(exist_ok=True)
        (self.tree / "conf.tmpl").write_text("conf", encoding="utf-8")
        for name, text in (("compose.yml", compose), (".env.sample", env), ("abra.sh", script)):
            if text is not None:
                (self.tree / name).write_text(text, encoding="utf-8")

    def render(self, placement: Placement = PLACEMENT, **overrides: str) -> Rendered:
        return render(
            self.tree, COMMIT, read_env(self.tree, placement, overrides), placement, [], docker_cli.find(None)
        )

    def variant(self, old: str, new: str) -> Rendered:
        """Rendered after an edit of compose.yml, abra.sh or .env.sample."""
        texts = {"compose": COMPOSE, "env": ENV, "script": SCRIPT}
        assert sum(text.count(old) for text in texts.values()), old
        self.write(compose=COMPOSE.replace(old, new), env=ENV.replace(old, new), script=SCRIPT.replace(old, new))
        return self.render()


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path / "tree")


def test_what_is_read_from_a_recipe(recipe: Recipe) -> None:
    made = recipe.render()
    assert made.images == {"app": "nginx:1.2", "db": "postgres:16"}
    assert made.secrets == {"db_password_v1": {"length": "20", "charset": "hex"}}
    assert made.volumes == {"data": f"{STACK}_data", "pg": f"{STACK}_pg", "named": f"{STACK}_real"}
    assert made.version == "1.0.0+1.2"
    assert made.commit == COMMIT
    assert made.route is not None
    assert (made.route.service, made.route.port) == ("app", 80)
    assert "abra.sh: SHELL_ONLY needs a shell and is left out" in made.deviations
    assert PLACEMENT.url == f"http://{DOMAIN}:20001"


def test_a_secret_without_hints_and_one_of_another_name(recipe: Recipe) -> None:
    made = recipe.variant(" # length=20 charset=hex", "")
    assert made.secrets == {"db_password_v1": {}}
    made = recipe.variant("db_password: {external: true, name", "db_password: {external: true, labels: {a: b}, name")
    assert made.secrets == {"db_password_v1": {"length": "20", "charset": "hex"}}


def test_a_secret_whose_version_is_not_set(recipe: Recipe) -> None:
    with pytest.raises(RecipeFailedError, match=r"secrets\.db_password: its version is not set") as caught:
        recipe.variant("SECRET_DB_PASSWORD_VERSION=v1", "#")
    assert caught.value.hint == "SECRET_DB_PASSWORD_VERSION=v1 in .env.sample"


def test_hints_are_those_of_the_variable_in_the_secrets_name(recipe: Recipe) -> None:
    """Recipes name the key otherwise than the variable; the old form of `external` holds the name, too."""
    env = ENV.replace("SECRET_DB_PASSWORD_VERSION", "SECRET_PG_VERSION")
    name = '"${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}"'
    for external in (f"external: true, name: {name}", f"external: {{name: {name}}}"):
        made = f"external: true, name: {name}"
        compose = COMPOSE.replace(made, external).replace("SECRET_DB_PASSWORD_VERSION", "SECRET_PG_VERSION")
        recipe.write(compose=compose, env=env)
        assert recipe.render().secrets == {"db_password_v1": {"length": "20", "charset": "hex"}}


def test_a_later_files_secret_has_its_own_hints(recipe: Recipe) -> None:
    extra = 'version: "3.8"\nsecrets: {db_password: {external: true, name: "${STACK_NAME}_pg_${SECRET_PG_VERSION}"}}\n'
    (recipe.tree / "compose.pg.yml").write_text(extra, encoding="utf-8")
    recipe.write(env=ENV + "COMPOSE_FILE=compose.yml:compose.pg.yml\nSECRET_PG_VERSION=v2 # length=9\n")
    assert recipe.render().secrets == {"pg_v2": {"length": "9"}}


def test_a_secret_that_no_service_uses_is_not_needed(recipe: Recipe) -> None:
    unused = 'secrets: {unused: {external: true, name: "${STACK_NAME}_unused_v1"}, db_password'
    made = recipe.variant("secrets: {db_password", unused)
    assert list(made.secrets) == ["db_password_v1"]


def test_what_is_odd_in_the_env_is_said(recipe: Recipe) -> None:
    recipe.write(env=ENV.replace("charset=hex", "charset=klingon") + "A=$NONE\n")
    said = recipe.render().deviations
    assert ".env.sample:5: the value of A: NONE is set by no line before: empty" in said
    assert "secret db_password_v1: charset 'klingon' is not known: letters and digits are used" in said


def test_the_recipes_patience_raises_the_deadline_up_to_a_maximum(recipe: Recipe) -> None:
    assert recipe.render().deadline_s(600, 3600) == 600
    label = '"coop-cloud.${STACK_NAME}.timeout=${TIMEOUT:-120}"'
    made = recipe.variant('        - "coop-cloud.', f'        - {label}\n        - "coop-cloud.')
    assert (made.asked_s, made.deadline_s(600, 3600)) == (120, 600)
    made = recipe.render(TIMEOUT="900")
    assert (made.deadline_s(600, 3600), made.deadline_s(600, 700), made.deadline_s(1000, 700)) == (900, 700, 1000)


def test_a_name_that_swarm_would_refuse_is_refused_at_once(recipe: Recipe) -> None:
    name = "a-very-long-service-name-of-a-background-worker"
    with pytest.raises(UsageError, match=f"the service's name {STACK}_{name} has 65 characters, Swarm allows 63"):
        recipe.variant("  db:\n", f"  {name}:\n")
    placement = replace(PLACEMENT, own_stack="demo-123456")
    assert "demo-123456_db_password" in str(recipe.render(placement).document["secrets"])


def test_without_a_version_label_the_commit_names_it(recipe: Recipe) -> None:
    assert recipe.variant("coop-cloud.${STACK_NAME}.version", "other").version == COMMIT[:8]


def test_the_whole_env_reaches_the_app_and_the_recipe_wins(recipe: Recipe) -> None:
    document = recipe.render(OWN="override", NEW="added").document
    environment = document["services"]["app"]["environment"]
    assert environment["DOMAIN"] == DOMAIN
    assert environment["TYPE"] == "recipe"
    assert environment["OWN"] == "override"
    assert environment["NEW"] == "added"
    assert environment["PORT"] == "1"
    assert "environment" not in document["services"]["db"]


def test_the_domain_is_ours_unless_an_override_says_otherwise(recipe: Recipe) -> None:
    env = read_env(recipe.tree, PLACEMENT, {"PORT": "2"})
    assert (env.values["DOMAIN"], env.values["STACK_NAME"], env.values["PORT"]) == (DOMAIN, STACK, "2")
    assert env.values["LETS_ENCRYPT_ENV"] == ""
    assert read_env(recipe.tree, PLACEMENT, {"LETS_ENCRYPT_ENV": "x"}).values["LETS_ENCRYPT_ENV"] == "x"


def test_a_recipe_without_env_and_script(recipe: Recipe) -> None:
    (recipe.tree / ".env.sample").unlink()
    (recipe.tree / "abra.sh").unlink()
    recipe.write(compose="services: {app: {image: x}}\n")
    made = recipe.render()
    assert not made.secrets
    assert not made.volumes
    assert made.route is None


def test_files_that_link_out_of_the_recipe_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("A=1\n", encoding="utf-8")
    for name in ("abra.sh", ".env.sample"):
        (recipe.tree / name).unlink()
        (recipe.tree / name).symlink_to(tmp_path / "outside")
        with pytest.raises(RecipeFailedError, match=f"{name}.*outside the recipe"):
            recipe.render()


def test_compose_file_names_the_files(recipe: Recipe) -> None:
    (recipe.tree / "compose.more.yml").write_text("version: '3.8'\nservices: {more: {image: m}}\n", encoding="utf-8")
    assert "more" not in recipe.render().images
    assert "more" in recipe.render(COMPOSE_FILE="compose.yml:compose.more.yml").images
    with pytest.raises(RecipeFailedError, match=r"compose\.none\.yml does not exist"):
        recipe.render(COMPOSE_FILE="compose.yml:compose.none.yml")


def test_a_service_without_an_image_and_one_that_reaches_out(recipe: Recipe) -> None:
    with pytest.raises(RecipeFailedError, match=r"services\.db has no image"):
        recipe.variant("image: postgres:16", "command: x")
    with pytest.raises(RecipeFailedError, match=r"refused: services\.db\.pid"):
        recipe.variant("image: postgres:16", "image: x\n    pid: host")


def test_what_is_laid_over_is_labelled_and_said(recipe: Recipe) -> None:
    quick = Placement("demo", DOMAIN, 20001, "r1", "i1", dnsrr=True, quick=True).at_hosts({"k.example": "10.0.0.1"})
    made = recipe.render(quick)
    app = made.document["services"]["app"]
    assert app["ports"] == [{"target": 80, "published": 20001, "protocol": "tcp", "mode": "host"}]
    assert app["deploy"]["endpoint_mode"] == "dnsrr"
    assert app["deploy"]["update_config"]["monitor"] == "500ms"
    assert app["extra_hosts"] == ["k.example:10.0.0.1"]
    for name, service in made.document["services"].items():
        labels = service["deploy"]["labels"]
        assert labels["org.warmci.run"] == "r1"
        assert labels["org.warmci.commit"] == COMMIT
        assert (labels.get(f"coop-cloud.{STACK}.chaos-version") == COMMIT[:8]) is (name == "app")
    said = "\n".join(made.deviations)
    assert all(word in said for word in ("ingress direct: app:80", "dnsrr", "update_config.monitor"))
    plain = recipe.render()
    assert "update_config" not in plain.document["services"]["app"]["deploy"]
    assert "dnsrr" not in "\n".join(plain.deviations)


UNCHANGED = [
    ("coop-cloud.${STACK_NAME}.version=1.0.0+1.2", "coop-cloud.${STACK_NAME}.version=2.0.0+1.2"),
    ("    networks: [internal]", "    networks: [internal]\n    deploy: {update_config: {order: start-first}}"),
    ("    networks: [internal]", "    networks: [internal]\n    deploy: {replicas: 2}"),
]
CHANGED = [
    ("nginx:1.2", "nginx:1.3", {"app"}),
    ("postgres:16", "postgres:17", {"db"}),
    ("OWN:-default", "OWN:-other", {"app"}),
    ("CONF_VERSION=v1", "CONF_VERSION=v2", {"app"}),
    ("DB_PASSWORD_VERSION=v1", "DB_PASSWORD_VERSION=v2", {"app", "db"}),
    ("${STACK_NAME}_real", "${STACK_NAME}_other", {"db"}),
    ("pg: {}", 'pg: {name: "${STACK_NAME}_pg2"}', {"db"}),
    ("internal: }", 'internal: {name: "${STACK_NAME}_net2"}}', {"app", "db"}),
    ("  db:\n", "  postgres:\n", {"db", "postgres"}),
    ("source: conf, target: /c", "source: conf, target: /d", {"app"}),
]


@pytest.mark.parametrize(("old", "new"), UNCHANGED)
def test_labels_and_update_settings_replace_no_task(recipe: Recipe, old: str, new: str) -> None:
    assert changed_services(recipe.render(), recipe.variant(old, new)) == set()


@pytest.mark.parametrize(("old", "new", "changed"), CHANGED)
def test_what_an_upgrade_must_replace(recipe: Recipe, old: str, new: str, changed: set[str]) -> None:
    base = recipe.render()
    assert changed_services(base, recipe.variant(old, new)) == changed


def test_a_change_of_name_alone_is_seen_with_the_env_kept(recipe: Recipe) -> None:
    base = recipe.render()
    recipe.write(script=SCRIPT.replace("v1", "v2"))
    head = recipe.render()
    assert base.document["services"] == head.document["services"]
    assert changed_services(base, head) == {"app"}


def test_comparing_changes_neither(recipe: Recipe) -> None:
    base, head = recipe.render(), recipe.variant("nginx:1.2", "nginx:1.3")
    changed_services(base, head)
    assert base.document["services"]["app"]["deploy"]["labels"]
    assert "real names" not in base.document["services"]["app"]
    assert changed_services(base, base) == set()
